/** The mount of a soak, and how much it holds as time goes by. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryMbOf } from '../../bench/process-cost.ts';
import { raceAbort } from '../../src/lib/abort.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { WireUser } from '../demo/wire-user.ts';
import type { FaultStore } from '../faults/site.ts';
import { type Sample, trendOf } from './slope.ts';

const SAMPLE_EVERY_MS = 2_000;
/** Printed: as many as are read. */
const SHOWN_SAMPLES = 24;
/** Of memory, in MB: what the collector leaves now and then is no leak. */
const MOST_GROWTH_MB = 40;
/** Of memory in use. */
const MOST_GROWTH = 0.2;
const MOST_MORE_FILES = 8;
const MOST_MORE_SOCKETS = 24;

type Figure = 'memoryMb' | 'files' | 'sockets';

export class SoakMount implements AsyncDisposable {
  readonly path: string;
  readonly #user: WireUser;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #samples: Readonly<Record<Figure, Sample[]>> = { memoryMb: [], files: [], sockets: [] };

  private constructor(path: string, user: WireUser, child: ChildProcess) {
    this.path = path;
    this.#user = user;
    this.#child = child;
    this.#exited = once(child, 'exit');
  }

  static async start(
    user: WireUser,
    store: FaultStore,
    writeBack: string,
    signal: AbortSignal,
  ): Promise<SoakMount> {
    const path = join(user.folder, 'soaked');
    await mkdir(path);
    const where = ['--endpoint', store.endpoint, '--audience', store.audience];
    const [program = '', ...args] = user.commandLine([
      ...['--log-level', 'warn', 'mount', `s3://${store.bucket}`, path, ...where],
      ...(store.role === undefined ? [] : ['--role', store.role]),
      `--write-back=${writeBack}`,
    ]);
    const env = { ...process.env, ...user.environment, WIRE_CACHE_DIR: `${path}.cache` };
    const child = spawn(program, args, {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const mount = new SoakMount(path, user, child);
    const ended = mount.#exited.then(() => {
      throw new Error('wire mount ended before it was ready');
    });
    ended.catch(() => undefined); // told by the race, or not wanted any more
    await raceAbort(Promise.race([once(child.stdout, 'data'), ended]), signal);
    return mount;
  }

  /** Takes samples until `signal` aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#isRunning) {
      // It may end meanwhile: whoever uses it is told by its own calls.
      await this.#sample().catch(() => undefined);
      await systemClock.sleep(SAMPLE_EVERY_MS, signal).catch(() => undefined);
    }
  }

  /** Why it is not flat; empty when it is. Shows samples. */
  verdict(say: (line: string) => void): readonly string[] {
    const limits: Readonly<Record<Figure, (median: number) => number>> = {
      memoryMb: (median) => Math.max(MOST_GROWTH_MB, MOST_GROWTH * median),
      files: () => MOST_MORE_FILES,
      sockets: () => MOST_MORE_SOCKETS,
    };
    return (Object.keys(limits) as Figure[]).flatMap((figure) => {
      const samples = this.#samples[figure];
      const step = Math.max(1, Math.floor(samples.length / SHOWN_SAMPLES));
      const shown = samples.filter((_, nth) => nth % step === 0);
      say(`${figure}: ${shown.map(({ value }) => value.toFixed(0)).join(' ')}`);
      const trend = trendOf(samples);
      if (trend === undefined) return [`${figure}: too few samples to tell`];
      const { growth, median, peak } = trend;
      const words = `${figure}: median ${median.toFixed(0)}, peak ${peak.toFixed(0)}, trend ${growth.toFixed(1)} since the warm-up`;
      say(words);
      return growth > limits[figure](median) ? [`${words}: it grows`] : [];
    });
  }

  /** Saves all and ends. @returns what was wrong with it. */
  async stop(signal: AbortSignal): Promise<readonly string[]> {
    const { stdout } = await this.#user.wire(['status', '--json'], signal);
    const { mounts } = JSON.parse(stdout) as {
      readonly mounts: readonly { readonly degraded?: string; readonly failures?: unknown[] }[];
    };
    const wrong = mounts.flatMap(({ degraded, failures = [] }) => [
      ...(degraded === undefined ? [] : [`degraded: ${degraded}`]),
      ...(failures.length === 0 ? [] : [`${failures.length} saves have failed`]),
    ]);
    await this.#end();
    const { exitCode } = this.#child;
    return exitCode === 0 ? wrong : [...wrong, `it ended with ${exitCode ?? 'a kill'}`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  get #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #end(): Promise<void> {
    if (!this.#isRunning) return;
    this.#child.kill('SIGTERM');
    await this.#exited;
  }

  async #sample(): Promise<void> {
    const pid = this.#child.pid ?? 0;
    const atMs = performance.now();
    const folder = `/proc/${pid}/fd`;
    const targets = await Promise.all(
      (await readdir(folder)).map(async (fd) => await readlink(join(folder, fd)).catch(() => '')),
    );
    const sockets = targets.filter((target) => target.startsWith('socket:')).length;
    this.#samples.memoryMb.push({ atMs, value: await memoryMbOf(pid, 'VmRSS') });
    this.#samples.sockets.push({ atMs, value: sockets });
    this.#samples.files.push({ atMs, value: targets.length - sockets });
  }
}
