/** One crash: writers under load, kill -9 at some moment, the next mount, and a look at everything. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ChildProgram } from '../../bench/child-program.ts';
import type { BenchScene } from '../../bench/mounted/scene.ts';
import type { WireMount, WireMountOptions } from '../../bench/mounted/wire-mount.ts';
import { emptyPrefix } from '../../bench/stores/emptying.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { Random } from '../../test/fixtures/random.ts';
import { run } from '../demo/programs.ts';
import { type Found, judge, judgeAtOnce, type Truth, type Verdict } from './truth.ts';
import { BucketView, partOf, uploadsLeft, viewOfMount } from './views.ts';
import type { WriteOrder, WriteReport } from './writer-process.ts';

export type WriteBack = 'off' | 'on' | 'durable';

export interface RoundOptions {
  readonly writeBack: WriteBack;
  readonly seed: number;
}

export interface RoundReport {
  readonly killedAfterMs: number;
  readonly acknowledged: number;
  readonly bytes: number;
  /** Found as they must be. */
  readonly files: number;
  /** How the changes under way came out. */
  readonly pending: readonly Verdict['pending'][];
  readonly recoveredMs: number;
  /** Empty when everything is as it must be. */
  readonly wrong: readonly string[];
}

const WRITERS = 4;
/** Writers get going, and are killed within. */
const LEAST_MS = 200;
const MOST_MS = 2500;
/** After a kill every call fails at once; a writer that still waits then is stuck. */
const PATIENCE_MS = 15_000;
/** The next mount does what the last one promised within this time. */
const RECOVERY_MS = 30_000;
const LOOK_EVERY_MS = 200;

export async function crashOnce(
  scene: BenchScene,
  { writeBack, seed }: RoundOptions,
  signal: AbortSignal,
): Promise<RoundReport> {
  const random = new Random(seed);
  const folder = `crash-${seed}`;
  const at = join(scene.user.folder, folder);
  await mkdir(at);
  const options: WireMountOptions = {
    ...{ endpoint: scene.store.endpoint, at },
    ...(writeBack !== 'off' && { writeBack }),
  };
  await using killed = await scene.mount(options, signal);
  const killedAfterMs = LEAST_MS + random.below(MOST_MS - LEAST_MS);
  const root = killed.file(folder);
  const report = await writeAndKill(killed, { root, seed, killedAfterMs }, signal);
  const prefix = `${folder}/`;
  const bucket = new BucketView(scene.store, prefix);
  const atOnce = await bucket.look(signal);
  const wrong = report.truths.flatMap((truth, nth) =>
    judgeAtOnce(truth, partOf(atOnce, nth), writeBack !== 'off'),
  );
  const early = [...report.refused, ...wrong.map((each) => `at once: ${each}`)];
  // The next mount takes the place of a dead one, and finds none just as well.
  if (random.below(2) === 0) await run('umount', ['-l', at], signal, { allow: [1, 32] });
  const later = await recover(
    scene,
    options,
    { prefix, bucket, root, truths: report.truths },
    signal,
  );
  if (early.length + later.wrong.length === 0) await emptyPrefix(scene.store, prefix, signal);
  const { acknowledged, bytes } = report;
  return { ...later, killedAfterMs, acknowledged, bytes, wrong: [...early, ...later.wrong] };
}

interface Load {
  readonly root: string;
  readonly seed: number;
  readonly killedAfterMs: number;
}

async function writeAndKill(
  mount: WireMount,
  { root, seed, killedAfterMs }: Load,
  signal: AbortSignal,
): Promise<WriteReport> {
  await mkdir(join(root, 'shared'), { recursive: true });
  for (let nth = 0; nth < WRITERS; nth += 1) await mkdir(join(root, `w${nth}`));
  const script = new URL('./writer-process.js', import.meta.url);
  await using child = await ChildProgram.start<string>(script, [], signal);
  const order = { root, writers: WRITERS, seed } satisfies WriteOrder;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(killedAfterMs + PATIENCE_MS)]);
  const written = child.ask('write', order, patience);
  written.catch(() => undefined); // awaited below
  await systemClock.sleep(killedAfterMs, signal);
  await mount.kill();
  return (await written) as WriteReport;
}

interface Expected {
  readonly prefix: string;
  readonly bucket: BucketView;
  readonly root: string;
  readonly truths: readonly Truth[];
}

/** Mounts again, waits until what was promised is there, and looks from both sides. */
async function recover(
  scene: BenchScene,
  options: WireMountOptions,
  expected: Expected,
  signal: AbortSignal,
): Promise<Pick<RoundReport, 'files' | 'pending' | 'recoveredMs' | 'wrong'>> {
  const started = performance.now();
  const { bucket, root, truths } = expected;
  const wrong: string[] = [];
  {
    await using mount = await scene.mount(options, signal);
    const settled = await settle(scene, expected, signal);
    const shown = await wrongThrough(root, truths);
    wrong.push(...settled, ...shown.map((each) => `through the mount: ${each}`));
    await mount.stop();
  }
  const recoveredMs = performance.now() - started;
  const found = await bucket.look(signal);
  const verdicts = verdictsOf(truths, found);
  wrong.push(...wrongIn(verdicts).map((each) => `in the bucket in the end: ${each}`));
  const files = [...found.values()].filter(({ kind }) => kind === 'file').length;
  return { files, pending: verdicts.map(({ pending }) => pending), recoveredMs, wrong };
}

/** What the mount shows, or cannot. */
async function wrongThrough(root: string, truths: readonly Truth[]): Promise<readonly string[]> {
  try {
    return wrongIn(verdictsOf(truths, await viewOfMount(root)));
  } catch (error) {
    return [error instanceof Error ? error.message : 'it failed'];
  }
}

/** Looks until all is as it must be; what is not in the end. */
async function settle(
  { store }: BenchScene,
  { prefix, bucket, truths }: Expected,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const deadline = performance.now() + RECOVERY_MS;
  for (;;) {
    const wrong = wrongIn(verdictsOf(truths, await bucket.look(signal)));
    const uploads = await uploadsLeft(store, prefix, signal);
    const left = uploads.map((key) => `an upload of ${key} was left`);
    if (wrong.length + left.length === 0) return [];
    if (performance.now() > deadline) {
      return [...wrong.map((each) => `in the bucket: ${each}`), ...left];
    }
    await systemClock.sleep(LOOK_EVERY_MS, signal);
  }
}

function verdictsOf(truths: readonly Truth[], found: Found): readonly Verdict[] {
  return truths.map((truth, nth) => judge(truth, partOf(found, nth)));
}

function wrongIn(verdicts: readonly Verdict[]): readonly string[] {
  return verdicts.flatMap(({ wrong }) => wrong);
}
