/**
 * What was said of the names in one directory, packed: about 60 bytes and its own for each name,
 * where objects would take ten times as much. A name gets a row when it is first seen and keeps it;
 * rows count from 0. A row says nothing until something is `put` there, or again after `erase`.
 *
 * Records lie in blocks one after the other, each with its name at its end; a table of hashes
 * (open addressing, linear) leads from a name to its row. Nothing is moved but the first block,
 * which begins small: most directories are.
 */
import type { ObjectVersion } from '../store/object-store.ts';
import { type Found, foundDirectory } from './directory-source.ts';
import { ETAG_BYTES, ETAG_TEXT_BYTES, packEtag, unpackEtag } from './name-version.ts';

/** When and with what others something was said. */
export interface SaidAt {
  /** Of two statements about a name the one with the greater number counts. */
  readonly seq: number;
  /** Monotonic. */
  readonly atMs: number;
  /** Statements of one group were last known to hold at the same time; 0: alone. */
  readonly group: number;
}

// One record: these fields, then the name.
const SEQ = 0; // f64
const AT_MS = 8; // f64
const GROUP = 16; // u32
const KIND = 20; // u8
const NAME_BYTES = 21; // u8
const ETAG = 22; // ETAG_BYTES
const BYTES = ETAG + ETAG_BYTES; // f64
const MODIFIED_MS = BYTES + 8; // f64
const NAME = MODIFIED_MS + 8;

// What a record says.
const NOTHING = 0;
const ABSENT = 1;
const DIRECTORY = 2;
const FILE = 3;
const FILE_WITH_ODD_ETAG = 4;

const BLOCK_BYTES = 256 * 1024;
const FIRST_BLOCK_BYTES = 512;
const FIRST_ROWS = 8;
const MOST_NAME_BYTES = 255;

interface Block {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export class NameTable {
  /** A name on its way into a table, or looked for; its bytes mean nothing after that. */
  static readonly #name = Buffer.alloc(MOST_NAME_BYTES * 3);
  static readonly #etag = Buffer.alloc(ETAG_TEXT_BYTES);
  #blocks: Block[] = [];
  #usedBytes = 0;
  /** Where the record of each row begins, blocks one after the other. */
  #offsets = new Uint32Array(FIRST_ROWS);
  /** Rows + 1 by hash; twice as many places as rows at least. */
  #places = new Uint32Array(FIRST_ROWS * 2);
  #rows = 0;
  #said = 0;
  #oddEtags: Map<number, string> | undefined;

  /** Names that have a row. */
  get rows(): number {
    return this.#rows;
  }

  /** Rows that say something. */
  get said(): number {
    return this.#said;
  }

  /** The row of `name`; -1: it has none. */
  find(name: string): number {
    const bytes = NameTable.#name.write(name);
    const place = this.#places[this.#placeOf(bytes)] ?? 0;
    return place - 1;
  }

  /** The row of `name`, a new one if need be. */
  rowOf(name: string): number {
    const bytes = NameTable.#name.write(name);
    const place = this.#placeOf(bytes);
    const row = (this.#places[place] ?? 0) - 1;
    return row >= 0 ? row : this.#add(bytes, place);
  }

  nameAt(row: number): string {
    return this.nameBytesAt(row).toString();
  }

  /** A view of the name; it may be copied later, but never changes. */
  nameBytesAt(row: number): Buffer {
    const { bytes, at } = this.#record(row);
    return bytes.subarray(at + NAME, at + NAME + (bytes[at + NAME_BYTES] ?? 0));
  }

  isSaid(row: number): boolean {
    const { bytes, at } = this.#record(row);
    return bytes[at + KIND] !== NOTHING;
  }

  isAbsent(row: number): boolean {
    const { bytes, at } = this.#record(row);
    return bytes[at + KIND] === ABSENT;
  }

  isDirectory(row: number): boolean {
    const { bytes, at } = this.#record(row);
    return bytes[at + KIND] === DIRECTORY;
  }

  seqAt(row: number): number {
    const { view, at } = this.#record(row);
    return view.getFloat64(at + SEQ, true);
  }

  atMsAt(row: number): number {
    const { view, at } = this.#record(row);
    return view.getFloat64(at + AT_MS, true);
  }

  groupAt(row: number): number {
    const { view, at } = this.#record(row);
    return view.getUint32(at + GROUP, true);
  }

  /** What the name stands for; undefined when it is not there, or nothing is said. */
  foundAt(row: number): Found | undefined {
    const { bytes, view, at } = this.#record(row);
    const kind = bytes[at + KIND];
    if (kind === DIRECTORY) return foundDirectory;
    if (kind !== FILE && kind !== FILE_WITH_ODD_ETAG) return undefined;
    const etag =
      kind === FILE
        ? unpackEtag(bytes, at + ETAG, NameTable.#etag)
        : (this.#oddEtags?.get(row) ?? '');
    const version: ObjectVersion = {
      etag,
      bytes: view.getFloat64(at + BYTES, true),
      modifiedMs: view.getFloat64(at + MODIFIED_MS, true),
    };
    return { type: 'file', version };
  }

  put(row: number, found: Found | undefined, { seq, atMs, group }: SaidAt): void {
    const { bytes, view, at } = this.#record(row);
    if (bytes[at + KIND] === NOTHING) this.#said += 1;
    view.setFloat64(at + SEQ, seq, true);
    view.setFloat64(at + AT_MS, atMs, true);
    view.setUint32(at + GROUP, group, true);
    if (found?.type === 'file') this.#putVersion(row, found.version);
    else bytes[at + KIND] = found === undefined ? ABSENT : DIRECTORY;
  }

  /** Says nothing of the row's name any more. */
  erase(row: number): void {
    const { bytes, at } = this.#record(row);
    if (bytes[at + KIND] !== NOTHING) this.#said -= 1;
    bytes[at + KIND] = NOTHING;
    this.#oddEtags?.delete(row);
  }

  /** A table with only those rows that say something, numbered anew. */
  compacted(): NameTable {
    const table = new NameTable();
    for (let row = 0; row < this.#rows; row += 1) {
      if (!this.isSaid(row)) continue;
      const said = { seq: this.seqAt(row), atMs: this.atMsAt(row), group: this.groupAt(row) };
      table.put(table.rowOf(this.nameAt(row)), this.foundAt(row), said);
    }
    return table;
  }

  #putVersion(row: number, { etag, bytes: length, modifiedMs }: ObjectVersion): void {
    const { bytes, view, at } = this.#record(row);
    const isPacked = packEtag(etag, bytes, at + ETAG);
    bytes[at + KIND] = isPacked ? FILE : FILE_WITH_ODD_ETAG;
    if (!isPacked) (this.#oddEtags ??= new Map()).set(row, etag);
    else this.#oddEtags?.delete(row);
    view.setFloat64(at + BYTES, length, true);
    view.setFloat64(at + MODIFIED_MS, modifiedMs, true);
  }

  #record(row: number): { readonly bytes: Buffer; readonly view: DataView; readonly at: number } {
    const offset = this.#offsets[row];
    const block = offset === undefined ? undefined : this.#blocks[Math.floor(offset / BLOCK_BYTES)];
    if (block === undefined || offset === undefined) throw new RangeError(`no row ${row}`);
    return { bytes: block.bytes, view: block.view, at: offset % BLOCK_BYTES };
  }

  /** Where the hash table has the name that was written last, or has room for it. */
  #placeOf(nameBytes: number): number {
    const mask = this.#places.length - 1;
    for (let place = hashOf(NameTable.#name, 0, nameBytes) & mask; ; place = (place + 1) & mask) {
      const row = (this.#places[place] ?? 0) - 1;
      if (row < 0 || this.#isNamed(row, nameBytes)) return place;
    }
  }

  #isNamed(row: number, nameBytes: number): boolean {
    const { bytes, at } = this.#record(row);
    if (bytes[at + NAME_BYTES] !== nameBytes) return false;
    const from = at + NAME;
    const name = NameTable.#name;
    for (let nth = 0; nth < nameBytes; nth += 1) {
      if (bytes[from + nth] !== name[nth]) return false;
    }
    return true;
  }

  #add(nameBytes: number, place: number): number {
    if (nameBytes > MOST_NAME_BYTES) throw new RangeError('a name is of at most 255 bytes');
    const row = this.#rows;
    this.#rows += 1;
    this.#makeRoom(NAME + nameBytes);
    if (row === this.#offsets.length) this.#offsets = grown(this.#offsets, row * 2);
    this.#offsets[row] = this.#usedBytes;
    this.#usedBytes += NAME + nameBytes;
    const { bytes, at } = this.#record(row);
    bytes[at + NAME_BYTES] = nameBytes;
    NameTable.#name.copy(bytes, at + NAME, 0, nameBytes);
    this.#places[place] = row + 1;
    if (this.#rows * 2 > this.#places.length) this.#rehash();
    return row;
  }

  /** A record never crosses the end of a block. */
  #makeRoom(recordBytes: number): void {
    const at = this.#usedBytes % BLOCK_BYTES;
    const block = this.#blocks.at(-1);
    const isFull = at === 0 || at + recordBytes > BLOCK_BYTES;
    if (block !== undefined && !isFull && at + recordBytes <= block.bytes.length) return;
    if (block !== undefined && !isFull) {
      // The first block, which is still growing.
      this.#blocks = [newBlock(Math.min(block.bytes.length * 2, BLOCK_BYTES), block.bytes)];
      return;
    }
    this.#usedBytes = this.#blocks.length * BLOCK_BYTES;
    this.#blocks.push(newBlock(block === undefined ? FIRST_BLOCK_BYTES : BLOCK_BYTES));
  }

  #rehash(): void {
    const places = new Uint32Array(this.#places.length * 2);
    const mask = places.length - 1;
    for (let row = 0; row < this.#rows; row += 1) {
      const { bytes, at } = this.#record(row);
      const from = at + NAME;
      let place = hashOf(bytes, from, from + (bytes[at + NAME_BYTES] ?? 0)) & mask;
      while (places[place] !== 0) place = (place + 1) & mask;
      places[place] = row + 1;
    }
    this.#places = places;
  }
}

function newBlock(length: number, content?: Buffer): Block {
  const bytes = Buffer.from(new ArrayBuffer(length));
  content?.copy(bytes);
  return { bytes, view: new DataView(bytes.buffer) };
}

function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length);
  larger.set(array);
  return larger;
}

/** FNV-1a, mixed at the end: names often differ in their last characters only. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return (hash ^ (hash >>> 15)) >>> 0;
}
