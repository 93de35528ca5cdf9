/** One round: a mount under load while faults come and go, calm, and a look at everything. */
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { ChildProgram } from '../../bench/child-program.ts';
import { emptyPrefix } from '../../bench/stores/emptying.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { Random } from '../../test/fixtures/random.ts';
import { type Checked, checkAll, keptFiles, type Standing } from './checks.ts';
import { FaultyMount } from './faulty-mount.ts';
import { HangWatch } from './hang-watch.ts';
import { Injector } from './injector.ts';
import type { LoadOrder, LoadReport } from './load-process.ts';
import type { RoundPlan } from './plan.ts';
import { contentOf, drawPlanted, type PlantedFile } from './planted.ts';
import type { FaultSite } from './site.ts';

export interface RoundReport extends Checked {
  readonly acknowledged: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  readonly seconds: number;
}

/** Between two versions that somebody else stores. */
const FOREIGN_EVERY_MS = 400;
/** All is well, and what was under way comes to its end: the longest patience of a mount, and more. */
const ENDING_MS = 240_000;

export async function faultRound(
  site: FaultSite,
  plan: RoundPlan,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<RoundReport> {
  const started = performance.now();
  const folder = `faults-${plan.seed}`;
  const planted = drawPlanted(new Random(plan.seed));
  for (const file of planted) await plant(site, folder, file, signal);
  await using mount = new FaultyMount(site, plan, join(site.user.folder, `m-${plan.seed}`));
  await mkdir(mount.path);
  const why = await mount.start(signal);
  if (why !== undefined) throw new Error(`it cannot be mounted: ${why}`);
  const root = join(mount.path, folder);
  for (let nth = 0; nth < plan.writers; nth += 1) await mkdir(join(root, `w${nth}`));
  const before = await mount.held();
  const keptBefore = new Set(await keptFiles(site));
  const { report, wrong } = await underLoad(
    site,
    plan,
    mount,
    { root, folder, planted },
    say,
    signal,
  );
  const standing: Standing = { site, plan, mount, folder, told: report.told, before, keptBefore };
  const checked = await checkAll(standing, signal);
  const all = [...wrong, ...report.wrong, ...checked.wrong];
  if (all.length === 0) await tidyUp(site, mount, folder, signal);
  const { acknowledged, refused, bytesRead, bytesWritten } = report;
  const seconds = (performance.now() - started) / 1000;
  return { ...checked, wrong: all, acknowledged, refused, bytesRead, bytesWritten, seconds };
}

interface Scene {
  readonly root: string;
  readonly folder: string;
  readonly planted: readonly PlantedFile[];
}

async function underLoad(
  site: FaultSite,
  plan: RoundPlan,
  mount: FaultyMount,
  { root, folder, planted }: Scene,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<{ readonly report: LoadReport; readonly wrong: readonly string[] }> {
  const script = new URL('./load-process.js', import.meta.url);
  await using child = await ChildProgram.start<string>(script, [], signal);
  const { seed, writers, readers } = plan;
  const writesBack = plan.writeBack !== 'off';
  const order = { root, seed, writers, readers, writesBack, planted } satisfies LoadOrder;
  await child.ask('start', order, signal);
  const watch = new HangWatch(child, mount, say);
  const injector = new Injector(site, mount, say, signal);
  const loading = new AbortController();
  const work = Promise.all([
    injector.run(plan.faults, loading.signal),
    replace(site, folder, planted, loading.signal),
  ]);
  work.catch(() => undefined); // awaited below
  const over = performance.now() + plan.loadMs;
  while (performance.now() < over) await watch.look(signal);
  loading.abort();
  await work.catch((error: unknown) => {
    if (!isAbort(error)) throw error;
  });
  say('calm');
  await injector.calm(signal);
  say('all is well');
  await child.ask('stop', null, signal);
  const deadline = performance.now() + ENDING_MS;
  while (!(await watch.look(signal)) && performance.now() < deadline);
  if (performance.now() >= deadline) await mount.kill();
  say('no call is under way');
  const patience = AbortSignal.any([signal, AbortSignal.timeout(ENDING_MS)]);
  const report = (await child.ask('finish', null, patience)) as LoadReport;
  return { report, wrong: watch.wrong };
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** Somebody else, at the bucket itself. */
async function replace(
  site: FaultSite,
  folder: string,
  planted: readonly PlantedFile[],
  signal: AbortSignal,
): Promise<void> {
  const changing = planted.filter(({ changes }) => changes);
  for (let version = 1; ; version += 1) {
    for (const file of changing) await plant(site, folder, { ...file, version }, signal);
    await systemClock.sleep(FOREIGN_EVERY_MS, signal);
  }
}

async function plant(
  { store: { client, bucket: Bucket } }: FaultSite,
  folder: string,
  file: PlantedFile,
  abortSignal: AbortSignal,
): Promise<void> {
  const Key = `${folder}/${file.path}`;
  await client.send(new PutObjectCommand({ Bucket, Key, Body: contentOf(file) }), { abortSignal });
}

async function tidyUp(
  site: FaultSite,
  mount: FaultyMount,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  await emptyPrefix(site.store, `${folder}/`, signal);
  await rmdir(mount.path);
  for (const what of ['log', 'cache', 'clock']) {
    await rm(`${mount.path}.${what}`, { recursive: true, force: true });
  }
}
