/**
 * The access log: a line for each operation of programs on a mount, on request. Lines wait in
 * memory for a moment and are written together, never by who made them: where the disk is slower
 * than the mount, lines are dropped and the next one tells how many.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

/** One operation. */
export interface Access {
  /** As `FileSystem` calls it: `read`. */
  readonly op: string;
  /** From the root of the mount on; undefined of what has no name any more. */
  readonly path: string | undefined;
  /** The other name of a rename or a link. */
  readonly to?: string;
  readonly offset?: number;
  /** Of content: read or written. */
  readonly bytes?: number;
  /** Undefined: it was done. */
  readonly errno: string | undefined;
  readonly ms: number;
  /** Of the thread that asked, as the kernel numbers it. */
  readonly pid: number;
  readonly uid: number;
}

export interface AccessLogOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Characters that may wait; default 8 Mi. */
  readonly waitingChars?: number;
  /** The file is begun anew at this size, and one old one kept; default 64 MiB. */
  readonly maxBytes?: number;
}

/** How long a line waits for others. */
const GATHER_MS = 200;
/** A disk that does not answer must not keep a process from ending. */
const LAST_WRITE_MS = 2000;

const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

export class AccessLog implements AsyncDisposable {
  readonly #options: AccessLogOptions;
  readonly #end = new AbortController();
  #file: FileHandle;
  #bytes: number;
  #lines: string[] = [];
  #waiting = 0;
  #dropped = 0;
  #droppedInAll = 0;
  #flushing: Promise<void> | undefined;

  private constructor(options: AccessLogOptions, file: FileHandle, bytes: number) {
    this.#options = options;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** @throws the system's error. */
  static async open(options: AccessLogOptions): Promise<AccessLog> {
    const file = await open(options.path, flags, 0o600);
    const facts = await file.stat();
    const isOurs = facts.isFile() && facts.uid === process.geteuid?.();
    if (isOurs && (facts.mode & 0o077) !== 0) await file.chmod(0o600);
    return new AccessLog(options, file, facts.size);
  }

  /** Lines that the disk was too slow for. */
  get dropped(): number {
    return this.#droppedInAll;
  }

  note(mount: string, access: Access): void {
    const { clock, waitingChars = 8 * MiB } = this.#options;
    if (this.#waiting > waitingChars) {
      this.#dropped += 1;
      this.#droppedInAll += 1;
      return;
    }
    const time = new Date(clock.now()).toISOString();
    const { op, path, errno, ms, ...rest } = access;
    const facts = { time, mount, op, path: path ?? null, errno: errno ?? null, ms, ...rest };
    this.#push(JSON.stringify(facts));
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
  }

  /** Writes what waits, for a moment at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    const { clock } = this.#options;
    const patience = new AbortController();
    const late = clock.sleep(LAST_WRITE_MS, patience.signal).catch(() => undefined);
    await Promise.race([this.#flushing, late]);
    patience.abort();
    await late;
    this.#file.close().catch(() => undefined);
  }

  #push(line: string): void {
    this.#lines.push(line);
    this.#waiting += line.length + 1;
  }

  /** Until nothing waits. Never rejects. */
  async #flush(): Promise<void> {
    const { clock, log, path } = this.#options;
    await clock.sleep(GATHER_MS, this.#end.signal).catch(() => undefined);
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      this.#lines = [];
      if (this.#dropped > 0) lines.push(JSON.stringify({ dropped: this.#dropped }));
      this.#dropped = 0;
      try {
        await this.#write(`${lines.join('\n')}\n`);
      } catch (error) {
        this.#droppedInAll += lines.length;
        log.warn('access log not written', { path, error });
      }
      // What is being written waits, too: memory is bounded with it.
      this.#waiting = this.#lines.reduce((sum, line) => sum + line.length + 1, 0);
    }
  }

  async #write(text: string): Promise<void> {
    const { path, maxBytes = 64 * MiB } = this.#options;
    if (this.#bytes > maxBytes) {
      await rename(path, `${path}.1`);
      const fresh = await open(path, flags, 0o600);
      await this.#file.close();
      this.#file = fresh;
      this.#bytes = 0;
    }
    const bytes = Buffer.from(text);
    await this.#file.appendFile(bytes);
    this.#bytes += bytes.length;
  }
}
