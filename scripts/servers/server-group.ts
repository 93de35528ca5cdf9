/**
 * Servers as plain processes with a folder of their own, of which nothing is left afterwards: not
 * after a failure, nor when the process that started them is killed. A small shell beside them
 * holds their pids; it reads from us, so it learns of our end whatever that was.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/lib/clock.ts';

/**
 * `+PID` and `-PID` on stdin, and the folder as its argument. Only a process that we have not seen
 * end is killed, so that no other gets its number meanwhile.
 */
const GUARD = `
trap '' HUP INT TERM
pids=' '
while read -r line; do
  pid=\${line#?}
  case $line in
    +*) pids="$pids$pid ";;
    -*) pids="\${pids%% $pid *} \${pids#* $pid }";;
  esac
done
for pid in $pids; do kill -9 "$pid"; done 2>/dev/null
for round in 1 2 3 4 5; do rm -rf -- "$1" && break; sleep 0.2; done
`;

/** Ceph writes out what it holds; a second or two do. */
const STOP_MS = 10_000;
const POLL_MS = 200;
/** Lines of a log that say why a server ended. */
const TOLD_LINES = 8;

export class ServerProcess implements AsyncDisposable {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(name: string, logFile: string, child: ChildProcess) {
    this.name = name;
    this.logFile = logFile;
    this.#child = child;
    this.#ended = once(child, 'exit');
    this.#ended.catch(() => undefined); // a program that cannot be started: told by `hasEnded`
  }

  get hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#wasKilled;
  }

  get #wasKilled(): boolean {
    return this.#child.signalCode !== null;
  }

  /** Asks it to end, then makes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill('SIGTERM');
    const limit = new AbortController();
    const late = systemClock.sleep(STOP_MS, limit.signal).then(
      () => this.#child.kill('SIGKILL'),
      () => undefined,
    );
    await this.#ended;
    limit.abort();
    await late;
  }
}

export class ServerGroup implements AsyncDisposable {
  /** Private to us, and gone with the servers. */
  readonly folder: string;
  readonly #guard: ChildProcess;
  readonly #processes: ServerProcess[] = [];

  private constructor(folder: string, guard: ChildProcess) {
    this.folder = folder;
    this.#guard = guard;
  }

  static async create(name: string): Promise<ServerGroup> {
    const folder = await mkdtemp(join(tmpdir(), `wire-${name}-`));
    // In a process group of its own: Ctrl-C is for us, and it acts on our end.
    const guard = spawn('/bin/sh', ['-c', GUARD, 'guard', folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    guard.stdin.on('error', () => undefined); // killed by somebody: then nobody guards
    await once(guard, 'spawn');
    return new ServerGroup(folder, guard);
  }

  /** Starts a server that stays in the foreground; its output goes to `NAME.log`. */
  start(
    name: string,
    program: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): ServerProcess {
    const logFile = join(this.folder, `${name}.log`);
    const log = openSync(logFile, 'a', 0o600);
    const env = { ...process.env, ...environment };
    const child = spawn(program, args, { env, stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    const { pid } = child;
    if (pid !== undefined) this.#tell(`+${pid}`);
    child.once('exit', () => this.#tell(`-${pid ?? ''}`));
    const server = new ServerProcess(name, logFile, child);
    this.#processes.push(server);
    return server;
  }

  /**
   * Returns when `isReady` says so; what it throws counts as no.
   *
   * @throws Error with the end of its log when `server` ends before, or takes longer than `limitMs`.
   */
  async ready(
    server: ServerProcess,
    isReady: () => Promise<boolean>,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const started = systemClock.monotonic();
    while (!(await isReady().catch(() => false))) {
      signal.throwIfAborted();
      const late = systemClock.monotonic() - started > limitMs;
      if (server.hasEnded || late) {
        const what = server.hasEnded ? 'ended' : `was not ready in ${limitMs / 1000} s`;
        throw new Error(`${server.name} ${what}:\n${await endOf(server.logFile)}`);
      }
      await systemClock.sleep(POLL_MS, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#processes.toReversed()) await server[Symbol.asyncDispose]();
    const ended = once(this.#guard, 'exit');
    this.#guard.stdin?.end();
    if (this.#guard.exitCode === null && this.#guard.signalCode === null) await ended;
  }

  #tell(line: string): void {
    if (this.#guard.stdin?.writable === true) this.#guard.stdin.write(`${line}\n`);
  }
}

async function endOf(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.trim().split('\n').slice(-TOLD_LINES).join('\n');
}
