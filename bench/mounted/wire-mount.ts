/**
 * The real command, mounted for one measurement. What wire can do is asked of `wire mount --help`,
 * here and nowhere else, so that a benchmark of an older one leaves out what it does not have.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow, type WireUser } from '../../scripts/demo/wire-user.ts';
import { raceAbort } from '../../src/lib/abort.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { cpuUsOf, memoryMbOf } from '../process-cost.ts';
import type { BenchStore } from '../stores/bench-store.ts';

export interface WireMountOptions {
  /** May be that of a proxy; STS is asked directly. */
  readonly endpoint: string;
  /** Where: a folder, or the dead mount of another; default a new folder of its own. */
  readonly at?: string;
  /** Keep what is read on disk too. */
  readonly diskCache?: 'passthrough' | 'through wire';
  /** `--memory`; default: what wire takes by itself. */
  readonly memory?: string;
  /** Save behind close(); default: before it returns. */
  readonly writeBack?: 'on' | 'durable';
  /** Write what the daemon spends its time on (V8's CPU profile) into this folder. */
  readonly profileFolder?: string;
}

/** A daemon that has been told to go has this long. */
const PATIENCE_MS = 20_000;

export class WireMount implements AsyncDisposable {
  readonly path: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #seen: (peakMb: number) => void;

  private constructor(path: string, child: ChildProcess, seen: (peakMb: number) => void) {
    this.path = path;
    this.#child = child;
    this.#seen = seen;
    this.#exited = once(child, 'exit');
    this.#exited.catch(() => undefined); // it could not be started: told by `start`
  }

  /** Returns when it answers; `seen` is told the most memory it ever had when it goes. */
  static async start(
    user: WireUser,
    store: BenchStore,
    options: WireMountOptions,
    seen: (peakMb: number) => void,
    signal: AbortSignal,
  ): Promise<WireMount> {
    const path = options.at ?? join(user.folder, `mount-${crypto.randomUUID().slice(0, 8)}`);
    if (options.at === undefined) await mkdir(path);
    const [program = '', ...args] = user.commandLine(argumentsOf(store, path, options));
    const env = { ...process.env, ...user.environment, WIRE_CACHE_DIR: cacheFolder(path) };
    const child = spawn(program, [...profiling(options), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const mount = new WireMount(path, child, seen);
    try {
      const ended = mount.#exited.then(() => {
        throw new Error('wire mount ended before it was ready');
      });
      ended.catch(() => undefined); // told by the race, or not wanted any more
      await raceAbort(Promise.race([once(child.stdout, 'data'), ended]), signal);
      return mount;
    } catch (error) {
      await mount[Symbol.asyncDispose]();
      throw error;
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Time of the daemon on a processor so far. */
  async cpuSeconds(): Promise<number> {
    return (await cpuUsOf(this.#pid)) / 1e6;
  }

  /** The most memory it ever used so far, in MB. */
  async peakMb(): Promise<number> {
    return await memoryMbOf(this.#pid, 'VmHWM');
  }

  /** Ends the daemon as a crash does; its mount stays, dead. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** As a person does who turns the machine off: everything is saved first. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    this.#seen(await this.peakMb());
    this.#child.kill('SIGTERM');
    await this.#goneIn(PATIENCE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    // One that crashed leaves a dead mount.
    if ((await mountsBelow(join(this.path, '..'))).includes(this.path)) {
      await run('umount', ['-l', this.path], new AbortController().signal, { allow: [1, 32] });
    }
    await rmdir(this.path).catch(() => undefined); // it may be gone with the mount
    await rm(cacheFolder(this.path), { recursive: true, force: true });
  }

  get #pid(): number {
    return this.#child.pid ?? 0;
  }

  get #hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    return pid === undefined || exitCode !== null || signalCode !== null;
  }

  async #goneIn(ms: number): Promise<void> {
    const limit = new AbortController();
    const late = systemClock.sleep(ms, limit.signal).then(
      () => this.#child.kill('SIGKILL'),
      () => undefined,
    );
    await this.#exited;
    limit.abort();
    await late;
  }
}

/** Of this mount alone: nothing in it is known from another. */
const cacheFolder = (path: string): string => `${path}.cache`;

function argumentsOf(
  { bucket, endpoint: sts, audience, role }: BenchStore,
  path: string,
  { endpoint, diskCache, memory, writeBack }: WireMountOptions,
): string[] {
  const where = ['--endpoint', endpoint, '--sts-endpoint', sts, '--audience', audience];
  return [
    ...['--log-level', 'error', 'mount', `s3://${bucket}`, path, ...where],
    ...(role === undefined ? [] : ['--role', role]),
    ...(diskCache === undefined ? [] : ['--cache', 'full']),
    ...(memory === undefined ? [] : ['--memory', memory]),
    ...(writeBack === undefined ? [] : [`--write-back=${writeBack}`]),
    ...(diskCache === 'through wire' ? ['-o', 'no_passthrough'] : []),
  ];
}

/** Options of Node's: 20 takes these from the command line alone. */
function profiling({ profileFolder }: WireMountOptions): string[] {
  return profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Where the time went that was not idle: the functions with the most of it, in percent. */
export async function profileSummary(folder: string, most: number): Promise<string> {
  const times = new Map<string, number>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => each.endsWith('.cpuprofile'))) {
    addTimes(JSON.parse(await readFile(join(folder, name), 'utf8')) as CpuProfile, times);
  }
  times.delete('(idle)');
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  const sorted = [...times].sort(([, a], [, b]) => b - a).slice(0, most);
  return sorted.map(([name, time]) => `${name} ${((time / total) * 100).toFixed(1)}`).join(', ');
}

function addTimes({ nodes, samples, timeDeltas }: CpuProfile, times: Map<string, number>): void {
  const byId = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  for (const [at, id] of samples.entries()) {
    const { functionName = '', url = '' } = byId.get(id) ?? {};
    const file = url.split('/').at(-1) ?? '';
    const name = `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}`}`;
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[at] ?? 0));
  }
}
