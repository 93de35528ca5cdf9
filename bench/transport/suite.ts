/**
 * The suite `transport`: an in-memory tree through our transport, beside libfuse's low-level
 * interface in C with one thread and, where it loads, the package fuse-native. All are mounted at
 * the same time and each workload runs on one after the other, so that what else the machine does
 * meets them alike; the order turns with each round.
 */
import { loadavg } from 'node:os';
import { Closers } from '../../src/lib/closers.ts';
import type { SuiteOptions, SuiteOutcome } from '../main.ts';
import { type Measurement, median } from '../report.ts';
import { Server, type ServerName } from './server.ts';
import { fuseNativeMissing, type Programs, prepareTools } from './toolchain.ts';
import { type Sample, type Workload, workloads } from './workloads.ts';

/** Of the daemon with nothing to do, in MB. */
const RSS_LIMIT = 90;
const RSS = 'rss';

/** What was measured: by workload, then by server. */
class Results {
  readonly #samples = new Map<string, number[]>();
  readonly #costs = new Map<string, number[]>();
  readonly #cold = new Map<string, number[]>();

  add(workload: Workload, server: ServerName, sample: Sample, cpuUs: number): void {
    const key = `${workload.name} ${server}`;
    append(this.#samples, key, sample.value);
    append(this.#costs, key, cpuUs / sample.operations);
  }

  /** What a workload took in a new daemon. */
  addCold(workload: Workload, server: ServerName, sample: Sample): void {
    append(this.#cold, `${workload.name} ${server}`, sample.value);
  }

  measurement(workload: Workload, others: readonly ServerName[]): Measurement {
    const { name, unit, better } = workload;
    const samplesOf = (server: string): readonly number[] =>
      this.#samples.get(`${name} ${server}`) ?? [];
    const compared = Object.fromEntries(others.map((other) => [other, samplesOf(other)]));
    return { name, unit, better, wire: samplesOf('wire'), others: compared };
  }

  /** Time of the daemon for one operation, of each server. */
  cost(workload: Workload, servers: readonly ServerName[]): string {
    return this.#list(this.#costs, workload, servers);
  }

  /** Empty when it was not told. */
  cold(workload: Workload, servers: readonly ServerName[]): string {
    return this.#list(this.#cold, workload, servers);
  }

  /** How good we are against `other` in each round; less moved by what comes and goes. */
  ratios({ name, better }: Workload, other: ServerName): string {
    const theirs = this.#samples.get(`${name} ${other}`) ?? [];
    const ratios = (this.#samples.get(`${name} wire`) ?? []).map((ours, round) => {
      const quotient = ours / (theirs[round] ?? Number.NaN);
      return (better === 'greater' ? quotient : 1 / quotient).toFixed(2);
    });
    return ratios.join(' ');
  }

  median(workload: Workload, server: ServerName): number {
    return median(this.#samples.get(`${workload.name} ${server}`) ?? []);
  }

  #list(
    from: ReadonlyMap<string, readonly number[]>,
    workload: Workload,
    servers: readonly ServerName[],
  ): string {
    const words = servers.flatMap((server) => {
      const samples = from.get(`${workload.name} ${server}`);
      if (samples === undefined) return [];
      const value = median(samples);
      return [`${server} ${value.toFixed(value < 10 ? 2 : 0)}`];
    });
    return words.join(', ');
  }
}

export async function measureTransport({
  rounds,
  only,
  signal,
}: SuiteOptions): Promise<SuiteOutcome> {
  const chosen = workloads.filter(({ name }) => isChosen(name, only));
  if (chosen.length === 0 && !isChosen(RSS, only)) {
    throw new Error(`no such result: ${only.join(' ')}`);
  }
  const programs = await prepareTools(signal);
  const fuseNative = await fuseNativeMissing(signal);
  const others: ServerName[] = ['libfuse-c'];
  if (fuseNative === undefined) others.push('fuse-native');
  const compared: ServerName[] = ['wire', ...others];
  const servers: ServerName[] = [...compared, 'libfuse-c-threads'];
  const results = new Results();
  const loads: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // The threaded one is for the notes alone: every second round is enough.
    const present = rotated(round % 2 === 0 ? servers : compared, round);
    loads.push((loadavg()[0] ?? Number.NaN).toFixed(1));
    for (const attributeSeconds of [0, 60]) {
      const phase = chosen.filter((workload) => workload.attributeSeconds === attributeSeconds);
      if (phase.length > 0) await runPhase(phase, present, programs, results, signal);
    }
    process.stderr.write(`bench: round ${round + 1} of ${rounds}\n`);
  }
  const memory = isChosen(RSS, only) ? [await measureIdleMemory(programs)] : [];
  return {
    measurements: [...chosen.map((workload) => results.measurement(workload, others)), ...memory],
    notes: {
      'load when a round began': loads.join(' '),
      ...(fuseNative === undefined ? {} : { 'fuse-native': fuseNative }),
      ...Object.fromEntries(chosen.flatMap((workload) => notesOf(workload, servers, results))),
    },
  };
}

function append(samples: Map<string, number[]>, key: string, value: number): void {
  const list = samples.get(key);
  if (list === undefined) samples.set(key, [value]);
  else list.push(value);
}

function isChosen(name: string, only: readonly string[]): boolean {
  return only.length === 0 || only.includes(name);
}

/** Each server is the first as often as the others. */
function rotated(servers: readonly ServerName[], by: number): ServerName[] {
  return servers.map((_, at) => servers[(at + by) % servers.length] ?? 'wire');
}

/** Runs each workload on each server; the mounts are new, so that nothing is known to the kernel. */
async function runPhase(
  phase: readonly Workload[],
  names: readonly ServerName[],
  programs: Programs,
  results: Results,
  signal: AbortSignal,
): Promise<void> {
  await using closers = new Closers();
  const servers: Server[] = [];
  for (const name of names) {
    const attributeSeconds = phase[0]?.attributeSeconds ?? 0;
    servers.push(closers.use(await Server.start(name, programs.memoryFs, attributeSeconds)));
  }
  for (const workload of phase) {
    for (const server of servers) {
      signal.throwIfAborted();
      const cold = await workload.warmUp?.(server.mountPoint, programs, signal);
      if (cold !== undefined) results.addCold(workload, server.name, cold);
      const before = await server.cpuUs();
      const sample = await workload.run(server.mountPoint, programs, signal);
      results.add(workload, server.name, sample, (await server.cpuUs()) - before);
    }
  }
}

async function measureIdleMemory({ memoryFs }: Programs): Promise<Measurement> {
  await using server = await Server.start('wire', memoryFs, 60, 'empty');
  const wire = [await server.rssMb()];
  return { name: RSS, unit: 'MB', better: 'smaller', wire, others: { limit: [RSS_LIMIT] } };
}

function notesOf(
  workload: Workload,
  servers: readonly ServerName[],
  results: Results,
): (readonly [string, string])[] {
  const threads = results.median(workload, 'libfuse-c-threads');
  const cold = results.cold(workload, servers);
  return [
    ...(cold === '' ? [] : [[`${workload.name} in a new daemon, ${workload.unit}`, cold] as const]),
    [`${workload.name}, ratio to libfuse-c by round`, results.ratios(workload, 'libfuse-c')],
    [`${workload.name}, CPU us per ${workload.operation}`, results.cost(workload, servers)],
    [`${workload.name}, libfuse-c with 8 threads`, `${threads.toFixed(0)} ${workload.unit}`],
  ];
}
