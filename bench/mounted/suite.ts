/**
 * A suite of workloads on mounts of the real command, beside a raw client of the same server, next
 * to each other in each round; near the server and, through a proxy of ours, 20 ms away; or near it
 * and over TLS.
 */
import { rm } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import type { SuiteOptions, SuiteOutcome } from '../main.ts';
import { Samples } from './samples.ts';
import { BenchScene } from './scene.ts';
import { profileSummary } from './wire-mount.ts';
import type { Place, Sample, Workload } from './workload.ts';

/** A run ends within ten minutes, with what it takes to start and fill a store. */
const MEASURING_MS = 7.5 * 60_000;
/** Functions that the note of a profile names. */
const PROFILED = 14;

export interface MountedSuite<Prepared> {
  /** In the order they run. */
  readonly workloads: readonly Workload<Prepared>[];
  /** Fills the bucket for `chosen`. */
  prepare(
    scene: BenchScene,
    chosen: readonly Workload<Prepared>[],
    signal: AbortSignal,
  ): Promise<Prepared>;
  /** What is to be known of a way to the store. */
  describe?(
    place: Place & Prepared,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>>;
}

export interface MountedOutcome extends SuiteOutcome {
  /** The most memory that a daemon ever used, in MB. */
  readonly peakMb: number;
}

export async function measureMounted<Prepared>(
  suite: MountedSuite<Prepared>,
  options: SuiteOptions,
): Promise<MountedOutcome> {
  const { rtts, tls, only, signal, server } = options;
  const chosen = suite.workloads.filter(({ name }) => only.length === 0 || only.includes(name));
  if (chosen.length === 0) throw new Error(`no such result: ${only.join(' ')}`);
  await using scene = await BenchScene.open(server, signal);
  const notes: Record<string, string | number> = { server: scene.store.version };
  const possible = chosen.filter(({ name, missing }) => {
    const why = missing?.(server);
    if (why !== undefined) notes[name] = `left out: ${why}`;
    return why === undefined;
  });
  const prepared = await suite.prepare(scene, possible, signal);
  const samples = new Samples();
  for (const way of tls ? (['tls'] as const) : rtts) {
    const site = way === 'tls' ? await scene.secureSite(signal) : await scene.site(way, signal);
    const raw = await scene.rawStore(site.endpoint, signal);
    const place = { ...prepared, scene, site, raw, round: 0, profileFolder: undefined };
    Object.assign(notes, await suite.describe?.(place, signal));
    notes[`rounds${site.suffix}`] = await measureRounds(possible, place, samples, options);
    if (options.profile) Object.assign(notes, await profiles(possible, place, signal));
  }
  notes['load at the end'] = (loadavg()[0] ?? Number.NaN).toFixed(1);
  const { measurements } = samples;
  return { measurements, notes: { ...notes, ...samples.notes }, peakMb: Math.max(...scene.peaks) };
}

/** As many rounds as are asked for and fit. */
async function measureRounds<Prepared>(
  workloads: readonly Workload<Prepared>[],
  place: Place & Prepared,
  samples: Samples,
  { rounds, rtts, signal }: SuiteOptions,
): Promise<number> {
  const started = performance.now();
  const { suffix, rttMs } = place.site;
  for (let round = 0; round < rounds; round += 1) {
    for (const workload of workloads) {
      signal.throwIfAborted();
      const sample = await workload.measure({ ...place, round }, signal);
      samples.add(workload, suffix, sample);
      tell(workload, suffix, sample);
    }
    const spentMs = performance.now() - started;
    const seconds = (spentMs / 1000).toFixed(0);
    process.stderr.write(`bench: round ${round + 1} of ${rounds} at ${rttMs} ms: ${seconds} s\n`);
    const perRoundMs = spentMs / (round + 1);
    if (spentMs + perRoundMs > MEASURING_MS / rtts.length) return round + 1;
  }
  return rounds;
}

/** What is known already, for who waits or cannot wait any longer. */
function tell(
  { name, unit }: Pick<Workload<never>, 'name' | 'unit'>,
  suffix: string,
  { wire, others }: Sample,
): void {
  const all = Object.entries(others).map(([who, value]) => `${who} ${value.toPrecision(3)}`);
  const line = `${name}${suffix}: ${wire.toPrecision(3)} ${unit} (${all.join(', ')})`;
  process.stderr.write(`bench: ${line}\n`);
}

/** One more round, not counted, in which the daemon tells where its time goes. */
async function profiles<Prepared>(
  workloads: readonly Workload<Prepared>[],
  place: Place & Prepared,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const notes: Record<string, string> = {};
  for (const workload of workloads) {
    const name = `${workload.name}${place.site.suffix}`;
    const profileFolder = join(process.cwd(), 'build', 'bench', 'profiles', name);
    await rm(profileFolder, { recursive: true, force: true });
    await workload.measure({ ...place, profileFolder }, signal);
    const summary = await profileSummary(profileFolder, PROFILED);
    if (summary !== '') notes[`${name}, time of the daemon in %`] = summary;
  }
  return notes;
}
