/** The real command serving one mount, to be killed, replaced and looked at. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryMbOf } from '../../bench/process-cost.ts';
import { raceAbort } from '../../src/lib/abort.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { RoundPlan } from './plan.ts';
import type { FaultSite } from './site.ts';

/** A mount that ends saves first; then it has this long. */
const STOPPING_MS = 60_000;
/** How often the clock of a mount under libfaketime is looked up. */
const CLOCK_SECONDS = 1;

export interface MountState {
  readonly state: string;
  readonly degraded?: string;
  readonly unsavedFiles?: number;
  readonly uploads?: number;
  readonly failures?: readonly unknown[];
  readonly pid?: number;
}

export interface HeldByMount {
  readonly files: readonly string[];
  readonly sockets: number;
  readonly memoryMb: number;
}

export class FaultyMount implements AsyncDisposable {
  readonly path: string;
  readonly #site: FaultSite;
  readonly #plan: RoundPlan;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #stderr = '';

  /** At `path`, a folder that is there. */
  constructor(site: FaultSite, plan: RoundPlan, path: string) {
    this.#site = site;
    this.#plan = plan;
    this.path = path;
  }

  get logFile(): string {
    const { evidence } = this.#site;
    if (evidence === undefined) return `${this.path}.log`;
    return join(evidence, `${this.#plan.seed}.log`);
  }

  /** Whether it serves within the time that `signal` leaves; what it said when not. */
  async start(signal: AbortSignal): Promise<string | undefined> {
    const { user, faketime } = this.#site;
    const [program = '', ...args] = user.commandLine(this.#arguments());
    const clock = this.#plan.ownClock
      ? {
          ...{ LD_PRELOAD: faketime, FAKETIME_TIMESTAMP_FILE: this.#clockFile },
          ...{ FAKETIME_CACHE_DURATION: String(CLOCK_SECONDS) },
          ...{ FAKETIME_DONT_FAKE_MONOTONIC: '1', NO_FAKE_STAT: '1' },
        }
      : {};
    await writeFile(this.#clockFile, '+0\n', { flag: 'a' });
    const env = {
      ...process.env,
      ...user.environment,
      ...clock,
      WIRE_CACHE_DIR: `${this.path}.cache`,
    };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    this.#stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    this.#exited = once(child, 'exit');
    const ended = this.#exited.then(() => `ended: ${this.#stderr.trim()}`);
    const ready = once(child.stdout, 'data').then(() => undefined);
    return await raceAbort(Promise.race([ready, ended]), signal);
  }

  /** What `seconds` more than the time the mount takes it to be. */
  async setClock(seconds: number): Promise<void> {
    await writeFile(this.#clockFile, `${seconds < 0 ? '' : '+'}${seconds}\n`);
  }

  /** As a crash does: the mount stays, dead. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** @returns its exit code, undefined when it had to be killed. */
  async stop(): Promise<number | undefined> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return child?.exitCode ?? undefined;
    child.kill('SIGTERM');
    const limit = new AbortController();
    const late = systemClock.sleep(STOPPING_MS, limit.signal).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
    await this.#exited;
    limit.abort();
    await late;
    return child.exitCode ?? undefined;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Last words. */
  get said(): string {
    return this.#stderr.trim();
  }

  async state(signal: AbortSignal): Promise<MountState | undefined> {
    const { stdout } = await this.#site.user.wire(['status', '--json'], signal);
    const { mounts } = JSON.parse(stdout) as {
      readonly mounts: readonly (MountState & { readonly mountPoint: string })[];
    };
    return mounts.find(({ mountPoint }) => mountPoint === this.path);
  }

  async held(): Promise<HeldByMount> {
    const pid = this.#child?.pid ?? 0;
    const folder = `/proc/${pid}/fd`;
    const targets = await Promise.all(
      (await readdir(folder)).map(async (fd) => await readlink(join(folder, fd)).catch(() => '')),
    );
    return {
      files: targets.filter((target) => target.startsWith('/') && !target.startsWith('/dev/')),
      sockets: targets.filter((target) => target.startsWith('socket:')).length,
      memoryMb: await memoryMbOf(pid, 'VmRSS'),
    };
  }

  /** Whether the log or the status has said since `sinceMs` that something is not well. */
  async hasTold(sinceMs: number, signal: AbortSignal): Promise<boolean> {
    const lines = (await readFile(this.logFile, 'utf8').catch(() => '')).split('\n');
    const isTold = lines.some((line) => {
      const { time = '', level } = parsed(line);
      // The clock of the mount may be another.
      const isLate = this.#plan.ownClock || Date.parse(time) >= sinceMs;
      return isLate && (level === 'warn' || level === 'error');
    });
    return isTold || (await this.state(signal))?.degraded !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get #clockFile(): string {
    return `${this.path}.clock`;
  }

  #arguments(): string[] {
    const { store, proxy } = this.#site;
    const { writeBack, cache, memory, posix } = this.#plan;
    return [
      ...['--log-level', this.#site.evidence === undefined ? 'info' : 'debug'],
      ...['--log-file', this.logFile, 'mount', `s3://${store.bucket}`, this.path],
      ...['--endpoint', proxy.url, '--sts-endpoint', proxy.url, '--audience', store.audience],
      ...(store.role === undefined ? [] : ['--role', store.role]),
      ...['--cache', cache, '--memory', memory, `--write-back=${writeBack}`],
      ...['--expiry-wait', '10s'],
      ...(this.#site.evidence === undefined ? [] : ['--access-log', `${this.logFile}.access`]),
      ...(posix ? ['--posix'] : []),
    ];
  }
}

function parsed(line: string): { readonly time?: string; readonly level?: string } {
  try {
    return JSON.parse(line) as { readonly time?: string; readonly level?: string };
  } catch {
    return {};
  }
}
