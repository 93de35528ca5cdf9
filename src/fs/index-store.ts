/**
 * What is worth knowing when the same source is mounted again, on the local disk: attributes that
 * programs set, and listings for as long as they hold. Nothing here is the truth: without it a
 * mount asks the store, and shows times as the store tells them.
 *
 * One append-only file for each life of a mount (`index-log.ts`, `index-files.ts`), written a
 * little later in batches. Only that a listing no longer holds is written at once, before whoever
 * changed the directory hears of it: so a process may die at any moment, and no listing that this
 * mount has outdated comes back. After the machine has started anew no listing counts.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { Background } from './background.ts';
import type { FoundName } from './directory-source.ts';
import {
  leaveIndexFile,
  newIndexFile,
  readIndexFile,
  removeIndexFiles,
  takeIndexFiles,
} from './index-files.ts';
import { encodeRecord, INDEX_MAGIC, type IndexRecord, recordsIn } from './index-log.ts';
import {
  type AttributePairs,
  decodeAttributes,
  decodeListing,
  encodeAttributes,
  encodeListing,
  type KeptListing,
} from './index-records.ts';
import type { Overrides } from './nodes.ts';

export interface IndexStoreOptions {
  /** For this source and identity alone; made 0700. */
  readonly folder: string;
  readonly listTtlMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes gather so long before they are written, ms: what a killed process loses at most. */
const WRITE_AFTER_MS = 1000;
/** Listings that hold for less are not worth a write: nobody mounts again so fast. */
const SHORTEST_TTL_MS = 5000;
/** Names of one listing that are kept. */
const MOST_LISTED = 50_000;
/** Names whose attributes are in memory, and are taken over from one life to the next. */
const MOST_NAMES = 100_000;
const MOST_TAKEN_OVER = 1_000_000;
/** A life writes no more than this. */
const MOST_FILE_BYTES = 128 * 1024 * 1024;

interface Extent {
  readonly offset: number;
  readonly bytes: number;
}

/** Where in the file the records of a directory are. */
interface Kept {
  attributes: Extent[];
  listing: Extent | undefined;
}

type Attributes = Map<string, Overrides | undefined>;

export class IndexStore implements AsyncDisposable {
  readonly #options: IndexStoreOptions;
  readonly #file: string;
  readonly #fd: number;
  readonly #kept = new Map<string, Kept>();
  readonly #loaded = new LRUCache<string, Attributes>({
    maxSize: MOST_NAMES,
    sizeCalculation: (names) => names.size + 1,
  });
  /** What is not written yet. */
  #unwritten = new Map<string, Attributes>();
  #listings = new Map<string, Buffer>();
  #bytes = 0;
  #isWaiting = false;
  #hasWritten = false;
  #isClosed = false;
  readonly #background = new Background();

  /** @throws when the folder cannot be used. */
  static async open(options: IndexStoreOptions): Promise<IndexStore> {
    const taken = await takeIndexFiles(options.folder);
    const index = new IndexStore(options);
    for (const file of taken) await index.#takeOver(file);
    index.#write();
    await removeIndexFiles(taken);
    return index;
  }

  private constructor(options: IndexStoreOptions) {
    this.#options = options;
    this.#file = newIndexFile(options.folder);
    this.#fd = openSync(this.#file, 'wx+', 0o600);
    this.#append(INDEX_MAGIC);
  }

  /** Writes what is left, and leaves the file to the next mount. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    await this.#background[Symbol.asyncDispose]();
    this.#write();
    this.#isClosed = true;
    closeSync(this.#fd);
    await leaveIndexFile(this.#file);
  }

  get hasAttributes(): boolean {
    return this.#hasWritten || this.#unwritten.size > 0;
  }

  /** What programs set of `id`: a bucket and a key, for a directory with its final slash. */
  attributes(id: string): Overrides | undefined {
    const { directory, name } = split(id);
    const unwritten = this.#unwritten.get(directory);
    if (unwritten?.has(name) === true) return copyOf(unwritten.get(name));
    return copyOf(this.#load(directory)?.get(name));
  }

  /** Keeps them from now on; undefined: there are none any more. */
  setAttributes(id: string, overrides: Overrides | undefined): void {
    const { directory, name } = split(id);
    if (overrides === undefined && this.attributes(id) === undefined) return;
    const names = this.#unwritten.get(directory) ?? new Map<string, Overrides | undefined>();
    names.set(name, copyOf(overrides));
    this.#unwritten.set(directory, names);
    this.#writeSoon();
  }

  /** Whether listings are kept at all. */
  get keepsListings(): boolean {
    const { listTtlMs, clock } = this.#options;
    return listTtlMs >= SHORTEST_TTL_MS && clock.boot?.() !== undefined;
  }

  /** The listing of `directory`, if it still holds. */
  listing(directory: string): KeptListing | undefined {
    const extent = this.#kept.get(directory)?.listing;
    const bytes = this.#listings.get(directory) ?? (extent && this.#read(extent)?.body);
    const listing = bytes && decodeListing(bytes, this.#options);
    if (listing === undefined) this.#dropListing(directory);
    return listing;
  }

  /** Whether there is a listing of `directory` that may still hold. */
  hasListing(directory: string): boolean {
    return this.#listings.has(directory) || this.#kept.get(directory)?.listing !== undefined;
  }

  /** Keeps a whole listing, as it was told at `toldMs` (monotonic). */
  keepListing(directory: string, toldMs: number, names: readonly FoundName[]): void {
    if (!this.keepsListings || names.length > MOST_LISTED) return;
    const bytes = encodeListing(names, toldMs, this.#options);
    if (bytes === undefined) return;
    this.#listings.set(directory, bytes);
    this.#writeSoon();
  }

  /** The listing of `directory` does not hold any more: that is on disk when this returns. */
  changed(directory: string): void {
    if (!this.#dropListing(directory)) return;
    this.#appendRecord({ type: 'changed', directory, body: Buffer.alloc(0) });
  }

  /** The same for all directories at and below `directory`. */
  changedBelow(directory: string): void {
    for (const known of [...this.#listings.keys(), ...this.#kept.keys()]) {
      if (known.startsWith(directory)) this.changed(known);
    }
  }

  async #takeOver(file: string): Promise<void> {
    const listings = new Map<string, Buffer>();
    let names = 0;
    for (const record of recordsIn(await readIndexFile(file))) {
      const { type, directory, body } = record;
      if (type === 'changed') {
        listings.delete(directory);
        this.#listings.delete(directory);
      }
      if (type === 'listing') listings.set(directory, body);
      if (type === 'attributes' && names < MOST_TAKEN_OVER) {
        names += this.#merge(directory, decodeAttributes(body));
      }
    }
    for (const [directory, body] of listings) {
      if (decodeListing(body, this.#options) !== undefined) this.#listings.set(directory, body);
    }
  }

  #merge(directory: string, pairs: AttributePairs): number {
    const names = this.#unwritten.get(directory) ?? new Map<string, Overrides | undefined>();
    for (const [name, overrides] of pairs) {
      if (overrides === undefined) names.delete(name);
      else names.set(name, overrides);
    }
    if (names.size > 0) this.#unwritten.set(directory, names);
    else this.#unwritten.delete(directory);
    return pairs.length;
  }

  #load(directory: string): Attributes | undefined {
    const loaded = this.#loaded.get(directory);
    if (loaded !== undefined) return loaded;
    const extents = this.#kept.get(directory)?.attributes ?? [];
    if (extents.length === 0) return undefined;
    const names: Attributes = new Map();
    for (const extent of extents) {
      const pairs = decodeAttributes(this.#read(extent)?.body);
      for (const [name, overrides] of pairs) names.set(name, overrides);
    }
    this.#loaded.set(directory, names);
    return names;
  }

  #writeSoon(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#background.start(async (signal) => {
      try {
        await this.#options.clock.sleep(WRITE_AFTER_MS, signal);
      } finally {
        this.#isWaiting = false;
      }
      this.#write();
    });
  }

  #write(): void {
    if (this.#isClosed) return;
    const [attributes, listings] = [this.#unwritten, this.#listings];
    this.#unwritten = new Map();
    this.#listings = new Map();
    this.#hasWritten ||= attributes.size > 0;
    for (const [directory, names] of attributes) {
      const body = encodeAttributes([...names]);
      const extent = this.#appendRecord({ type: 'attributes', directory, body });
      if (extent !== undefined) this.#keptOf(directory).attributes.push(extent);
      const loaded = this.#loaded.get(directory);
      for (const [name, overrides] of names) loaded?.set(name, overrides);
    }
    for (const [directory, body] of listings) {
      const extent = this.#appendRecord({ type: 'listing', directory, body });
      if (extent !== undefined) this.#keptOf(directory).listing = extent;
    }
  }

  /** Whether there was one on the disk. */
  #dropListing(directory: string): boolean {
    this.#listings.delete(directory);
    const kept = this.#kept.get(directory);
    if (kept?.listing === undefined) return false;
    kept.listing = undefined;
    return true;
  }

  #keptOf(directory: string): Kept {
    const kept = this.#kept.get(directory) ?? { attributes: [], listing: undefined };
    this.#kept.set(directory, kept);
    return kept;
  }

  /** Where the record is; undefined when there is no room for it. */
  #appendRecord(record: IndexRecord): Extent | undefined {
    if (this.#isClosed) return undefined;
    const bytes = encodeRecord(record);
    if (record.type !== 'changed' && this.#bytes + bytes.length > MOST_FILE_BYTES) return undefined;
    const offset = this.#bytes;
    return this.#append(bytes) ? { offset, bytes: bytes.length } : undefined;
  }

  #append(bytes: Buffer): boolean {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#bytes + done);
      }
      this.#bytes += bytes.length;
      return true;
    } catch (error) {
      this.#options.log.warn('index-not-written', { error });
      return false;
    }
  }

  #read({ offset, bytes }: Extent): IndexRecord | undefined {
    try {
      const record = Buffer.alloc(INDEX_MAGIC.length + bytes);
      INDEX_MAGIC.copy(record);
      const read = readSync(this.#fd, record, INDEX_MAGIC.length, bytes, offset);
      const [first] = recordsIn(record.subarray(0, INDEX_MAGIC.length + read));
      return first;
    } catch {
      return undefined;
    }
  }
}

/** An id's directory, and the name in it, of a directory with its slash. */
function split(id: string): { readonly directory: string; readonly name: string } {
  const at = id.lastIndexOf('/', id.length - 2) + 1;
  return { directory: id.slice(0, at), name: id.slice(at) };
}

function copyOf(overrides: Overrides | undefined): Overrides | undefined {
  return overrides === undefined ? undefined : { ...overrides };
}
