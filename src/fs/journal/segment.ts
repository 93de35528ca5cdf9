/**
 * One file of a journal. Records are appended with a write(2) in this thread, which takes a few
 * microseconds where a turn through the thread pool takes ten times that; what waits for the disk
 * (fdatasync) never does so here.
 */
import {
  closeSync,
  fdatasync,
  openSync,
  read,
  renameSync,
  rmSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { MiB } from '../../lib/bytes.ts';
import {
  decodeFileHead,
  encodeFileHead,
  encodeRecord,
  FILE_HEAD_BYTES,
  type FileHead,
  type Found,
  type JournalRecord,
  recordsIn,
} from './record.ts';

/** A segment that has grown so long gets no further record. */
export const SEGMENT_BYTES: number = 16 * MiB;
/** Filled with zeros ahead of the records at once, where syncs are waited for. */
const AHEAD_BYTES = 2 * MiB;

const syncDescriptor = promisify(fdatasync);
const readDescriptor = promisify(read);

/** Where inline bytes are. */
export interface ContentPlace {
  readonly segment: Segment;
  readonly offset: number;
  readonly bytes: number;
}

export class Segment {
  #path: string;
  #head: FileHead;
  readonly #descriptor: number;
  #end: number;
  /** Up to here a record changes nothing but bytes of the file: a sync is eight times as quick. */
  #filled: number;
  #syncedEnd: number;
  /** Records and inline bytes in it that the journal still needs. */
  users = 0;
  /** Calls under way: the descriptor stays open for them. */
  #calls = 0;
  #closing = false;

  private constructor(path: string, head: FileHead, descriptor: number, end: number) {
    this.#path = path;
    this.#head = head;
    this.#descriptor = descriptor;
    this.#end = end;
    this.#filled = end;
    this.#syncedEnd = end;
  }

  static create(path: string, head: FileHead): Segment {
    const descriptor = openSync(path, 'wx+', 0o600);
    try {
      writeAll(descriptor, [encodeFileHead(head)], 0);
    } catch (error) {
      closeSync(descriptor);
      rmSync(path, { force: true });
      throw error;
    }
    return new Segment(path, head, descriptor, FILE_HEAD_BYTES);
  }

  /**
   * The file at `path` with what is in it; it gets no further records. Undefined when it is none of
   * ours.
   */
  static async load(
    path: string,
  ): Promise<{ readonly segment: Segment; readonly found: readonly Found[] } | undefined> {
    const file = await readFile(path);
    const head = decodeFileHead(file);
    if (head === undefined) return undefined;
    const segment = new Segment(path, head, openSync(path, 'r'), file.length);
    return { segment, found: [...recordsIn(file, head)] };
  }

  get path(): string {
    return this.#path;
  }

  get order(): number {
    return this.#head.order;
  }

  get bytes(): number {
    return this.#end;
  }

  get isSynced(): boolean {
    return this.#syncedEnd === this.#end;
  }

  /** @param ahead fill with zeros where records will be. */
  append(
    record: Pick<JournalRecord, 'type' | 'id' | 'json'>,
    content: readonly Uint8Array[],
    ahead: boolean,
  ): ContentPlace {
    const head = encodeRecord(this.#head.salt, record, content);
    const contentAt = this.#end + head.length;
    const bytes = content.reduce((sum, piece) => sum + piece.byteLength, 0);
    if (ahead) this.#fill(contentAt + bytes);
    // A call that fails half-way leaves the end where it was: the next record goes over it.
    writeAll(this.#descriptor, [head, ...content], this.#end);
    this.#end = contentAt + bytes;
    return { segment: this, offset: contentAt, bytes };
  }

  async read({ offset, bytes }: ContentPlace): Promise<Uint8Array> {
    const into = Buffer.allocUnsafe(bytes);
    await this.#call(async (descriptor) => {
      for (let done = 0; done < bytes; ) {
        const left = bytes - done;
        const { bytesRead } = await readDescriptor(descriptor, into, done, left, offset + done);
        if (bytesRead === 0) throw new Error(`${this.#path} is shorter than its records`);
        done += bytesRead;
      }
    });
    return into;
  }

  /** All that was appended before the call is on the disk, or needed no more. */
  async sync(): Promise<void> {
    if (this.#closing) return;
    const end = this.#end;
    await this.#call(syncDescriptor);
    this.#syncedEnd = Math.max(this.#syncedEnd, end);
  }

  /** Begins anew as another file of the journal: its room on the disk is there already. */
  async reuse(path: string, head: FileHead): Promise<void> {
    this.#head = head;
    this.#filled = Math.max(this.#filled, this.#end);
    this.#end = FILE_HEAD_BYTES;
    writeAll(this.#descriptor, [encodeFileHead(head)], 0);
    // Before anything else: records of its last use must never be taken for present ones.
    await this.#call(syncDescriptor);
    this.#syncedEnd = this.#end;
    renameSync(this.#path, path);
    this.#path = path;
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#closeWhenIdle();
  }

  remove(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }

  async #call(work: (descriptor: number) => Promise<void>): Promise<void> {
    if (this.#closing) throw new Error(`${this.#path} is closed`);
    this.#calls += 1;
    try {
      await work(this.#descriptor);
    } finally {
      this.#calls -= 1;
      this.#closeWhenIdle();
    }
  }

  #closeWhenIdle(): void {
    if (this.#closing && this.#calls === 0) closeSync(this.#descriptor);
  }

  #fill(end: number): void {
    if (end <= this.#filled) return;
    const zeros = Buffer.alloc(Math.max(AHEAD_BYTES, end - this.#filled));
    try {
      writeAll(this.#descriptor, [zeros], this.#filled);
      this.#filled += zeros.length;
    } catch {
      // Only quicker: a disk that is full says so to the record itself.
    }
  }
}

function writeAll(descriptor: number, pieces: readonly Uint8Array[], position: number): void {
  const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  let done = writevSync(descriptor, pieces, position);
  if (done === bytes) return;
  // A short write tells of a disk that is full or a limit: the next call names the error.
  const rest = Buffer.concat(pieces);
  while (done < bytes) done += writeSync(descriptor, rest, done, bytes - done, position + done);
}
