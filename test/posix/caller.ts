/**
 * A process that makes system calls for the checks, by name and with raw arguments (calls.c).
 * Node does not reach most of them; and a call that waits for a mount must not hold up this
 * process, which may be serving the bucket behind that mount.
 */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';

/** In the repository, also for the compiled script. */
const SOURCE = resolve('test', 'posix', 'calls.c');
/** What calls.c answers for a bus error. */
const SIGBUS_ERRNO = 9999;
/** No call of a check takes longer on a mount that works. */
const CALL_LIMIT_MS = 20_000;

const errnoNames: ReadonlyMap<number, string> = new Map<number, string>([
  // Two names of one number: POSIX's own come last, and stay.
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  [constants.errno.EAGAIN, 'EAGAIN'],
  [constants.errno.EOPNOTSUPP, 'EOPNOTSUPP'],
  [127, 'EKEYEXPIRED'],
  [26, 'ETXTBSY'],
  [SIGBUS_ERRNO, 'SIGBUS'],
]);

/** A system call that ended with an error. */
export class Refused extends Error {
  /** As `ENOENT`. */
  readonly code: string;

  constructor(code: string, call: string) {
    super(`${call}: ${code}`);
    this.code = code;
  }
}

/** Memory that a call fills. */
export class Room {
  bytes: Buffer;

  constructor(length: number) {
    this.bytes = Buffer.alloc(length);
  }
}

/** Text and bytes are passed with a NUL after them; 0 is also the null pointer. */
export type Argument = number | bigint | string | Uint8Array | Room;

/** Compiles the program that makes the calls into `folder`. @throws Error without a C compiler. */
export async function compileCalls(folder: string): Promise<string> {
  const program = join(folder, 'calls');
  await promisify(execFile)('cc', ['-O1', '-o', program, SOURCE]);
  return program;
}

interface Waiting {
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

/** One process. Calls are made in the order they are asked for, one at a time. */
export class Caller implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #gone: Promise<unknown>;
  readonly #waiting: Waiting[] = [];

  constructor(program: string) {
    this.#child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' });
    this.#gone = once(this.#child, 'close');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#waiting.shift()?.resolve(line);
    });
    const end = (): void => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the caller ended'));
    };
    this.#child.once('close', end);
    this.#child.stdin.on('error', end);
  }

  /** @throws Refused with the errno's name. */
  async call(name: string, ...args: readonly Argument[]): Promise<number> {
    const request = [name, ...args.map(encode)].join(' ');
    const [value = '', errno = '', ...filled] = (await this.#ask(request)).split(' ');
    const rooms = args.filter((arg) => arg instanceof Room);
    for (const [at, room] of rooms.entries()) room.bytes = Buffer.from(filled[at] ?? '', 'hex');
    if (errno !== '0') throw new Refused(errnoNames.get(Number(errno)) ?? errno, name);
    return Number(value);
  }

  /** Bytes of its memory. @throws Refused with SIGBUS where there are none. */
  async peek(address: number, length: number): Promise<Buffer> {
    const answer = await this.#ask(`peek ${address} ${length}`);
    const [, errno, hex = ''] = answer.split(' ');
    if (errno !== '0') throw new Refused('SIGBUS', 'peek');
    return Buffer.from(hex, 'hex');
  }

  async poke(address: number, bytes: Uint8Array): Promise<void> {
    const hex = Buffer.from(bytes).toString('hex');
    const [, errno] = (await this.#ask(`poke ${address} ${hex}`)).split(' ');
    if (errno !== '0') throw new Refused('SIGBUS', 'poke');
  }

  /** Ends it like a crash: no descriptor is closed by the program. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }

  async #ask(request: string): Promise<string> {
    const limit = AbortSignal.timeout(CALL_LIMIT_MS);
    return await new Promise((resolve, reject) => {
      const late = (): void => {
        this.#child.kill('SIGKILL');
        reject(new Error(`no answer within ${CALL_LIMIT_MS} ms: ${request.slice(0, 200)}`));
      };
      limit.addEventListener('abort', late, { once: true });
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          limit.removeEventListener('abort', late);
          settle(value);
        };
      this.#waiting.push({ resolve: settled(resolve), reject: settled(reject) });
      this.#child.stdin.write(`${request}\n`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.kill();
  }
}

function encode(arg: Argument): string {
  if (arg instanceof Room) return `o${arg.bytes.length}`;
  if (typeof arg === 'number' || typeof arg === 'bigint') return `i${arg}`;
  return `b${Buffer.from(arg).toString('hex')}`;
}
