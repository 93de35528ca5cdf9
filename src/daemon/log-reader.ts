/** Reading the log file while others write to it, and begin it anew. */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { KiB, MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { olderLogOf } from './log-file.ts';

/** Where reading has got to. */
export interface LogPlace {
  /** 0: there was no file. */
  readonly inode: number;
  readonly offset: number;
}

export interface LogTail {
  /** Whole lines, the oldest first. */
  readonly lines: readonly string[];
  readonly end: LogPlace;
}

/** More than a log grows to before it is begun anew. */
const MOST_BYTES = 16 * MiB;
/** Some hundred lines: enough for most who ask. */
const FEW_BYTES = 256 * KiB;
const CHUNK_BYTES = 64 * KiB;
/** Where the system does not tell of changes (a network's disk), and in case it forgets to. */
const LOOK_MS = 1000;

/**
 * The end of the log at `path`: at least `count` lines that `wanted` takes, if there are as many,
 * together with those between. What was put aside is read as well where that is needed.
 *
 * @throws the system's error, but for a file that is not there.
 */
export async function readLogTail(
  path: string,
  count: number,
  wanted: (line: string) => boolean,
): Promise<LogTail> {
  const few = await readEnd(path, FEW_BYTES);
  if (enough(few.lines, count, wanted)) return few;
  const all = few.whole ? few : await readEnd(path, MOST_BYTES);
  if (enough(all.lines, count, wanted)) return all;
  const older = await readEnd(olderLogOf(path), MOST_BYTES);
  return { lines: [...older.lines, ...all.lines], end: all.end };
}

function enough(
  lines: readonly string[],
  count: number,
  wanted: (line: string) => boolean,
): boolean {
  let left = count;
  for (let at = lines.length - 1; at >= 0 && left > 0; at -= 1) {
    if (wanted(lines[at] ?? '')) left -= 1;
  }
  return left <= 0;
}

async function readEnd(
  path: string,
  mostBytes: number,
): Promise<LogTail & { readonly whole: boolean }> {
  const file = await openIfThere(path);
  if (file === undefined) return { lines: [], end: { inode: 0, offset: 0 }, whole: true };
  try {
    const { ino, size } = await file.stat();
    const start = Math.max(0, size - mostBytes);
    const bytes = Buffer.alloc(size - start);
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, start);
    const text = bytes.subarray(0, bytesRead);
    const last = text.lastIndexOf(0x0a) + 1;
    // The first line is cut, unless it is the file's.
    const first = start === 0 ? 0 : text.indexOf(0x0a) + 1;
    return {
      lines: linesOf(text.subarray(first, last)),
      end: { inode: ino, offset: start + last },
      whole: start === 0,
    };
  } finally {
    await file.close();
  }
}

/** Of bytes that end with a line. */
function linesOf(bytes: Buffer): readonly string[] {
  return bytes.byteLength === 0 ? [] : bytes.toString('utf8').slice(0, -1).split('\n');
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Gives the lines behind `from` as they come, also those of files that take the place of this one,
 * until `signal` aborts; then it ends without a word.
 */
export async function* followLog(
  path: string,
  from: LogPlace,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<readonly string[]> {
  using changes = new Changes(path, clock);
  let follower = await Follower.open(path, from);
  let place = from;
  try {
    // Put aside since its end was read: what came before that is in the older file.
    if (follower?.inode !== from.inode) {
      await using before = await Follower.openSame(olderLogOf(path), from);
      const rest = (await before?.rest()) ?? [];
      if (rest.length > 0) yield rest;
    }
    while (!signal.aborted) {
      follower ??= await Follower.open(path, place);
      for (
        let lines = await follower?.read();
        lines !== undefined;
        lines = await follower?.read()
      ) {
        if (lines.length > 0) yield lines;
      }
      if (follower !== undefined && !(await follower.isStill(path))) {
        // Whatever was written between the last look and the exchange.
        const rest = await follower.rest();
        if (rest.length > 0) yield rest;
        await follower[Symbol.asyncDispose]();
        follower = undefined;
        place = { inode: 0, offset: 0 };
        if (await isThere(path)) continue;
      }
      await changes.next(signal);
    }
  } finally {
    await follower?.[Symbol.asyncDispose]();
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** One file, read on from a place. */
class Follower implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #inode: number;
  #offset: number;
  /** A line that is not all there yet. */
  #begun = Buffer.alloc(0);

  private constructor(file: FileHandle, inode: number, offset: number) {
    this.#file = file;
    this.#inode = inode;
    this.#offset = offset;
  }

  static async open(path: string, from: LogPlace): Promise<Follower | undefined> {
    const file = await openIfThere(path);
    if (file === undefined) return undefined;
    const { ino } = await file.stat();
    // Another file than the one that was read: all of it is new.
    return new Follower(file, ino, ino === from.inode ? from.offset : 0);
  }

  get inode(): number {
    return this.#inode;
  }

  /** Only if it is the very file that `from` is a place of. */
  static async openSame(path: string, from: LogPlace): Promise<Follower | undefined> {
    const opened = await Follower.open(path, from);
    if (opened === undefined || opened.#inode === from.inode) return opened;
    await opened[Symbol.asyncDispose]();
    return undefined;
  }

  /** Lines that have come whole since; undefined when nothing has come. */
  async read(): Promise<readonly string[] | undefined> {
    const { size } = await this.#file.stat();
    if (size < this.#offset) {
      // Somebody emptied it.
      this.#offset = 0;
      this.#begun = Buffer.alloc(0);
    }
    const room = Buffer.alloc(CHUNK_BYTES);
    const { bytesRead } = await this.#file.read(room, 0, CHUNK_BYTES, this.#offset);
    if (bytesRead === 0) return undefined;
    this.#offset += bytesRead;
    const bytes = Buffer.concat([this.#begun, room.subarray(0, bytesRead)]);
    const last = bytes.lastIndexOf(0x0a) + 1;
    this.#begun = Buffer.from(bytes.subarray(last));
    return linesOf(bytes.subarray(0, last));
  }

  /** All that is still to be read. */
  async rest(): Promise<readonly string[]> {
    const all: string[] = [];
    for (let lines = await this.read(); lines !== undefined; lines = await this.read()) {
      all.push(...lines);
    }
    return all;
  }

  async isStill(path: string): Promise<boolean> {
    const found = await stat(path).catch(() => undefined);
    return found?.ino === this.#inode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** Wakes whoever waits when something happens to a file, and now and then. */
class Changes implements Disposable {
  readonly #clock: Clock;
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: () => void = () => undefined;

  constructor(path: string, clock: Clock) {
    this.#clock = clock;
    const name = basename(path);
    try {
      // The folder: a file that is exchanged is another one.
      this.#watcher = watch(dirname(path), (_, changed) => {
        if (changed !== null && changed !== name) return;
        this.#changed = true;
        this.#wake();
      });
      this.#watcher.on('error', () => undefined);
    } catch {
      // Too many are watched already: it is looked at now and then.
    }
  }

  /** Resolves after the next change, also one that came before; soon in any case. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#changed && !signal.aborted) {
      const limit = new AbortController();
      this.#wake = () => limit.abort();
      signal.addEventListener('abort', this.#wake, { once: true });
      await this.#clock.sleep(LOOK_MS, limit.signal).catch(() => undefined);
      signal.removeEventListener('abort', this.#wake);
      this.#wake = () => undefined;
    }
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }
}
