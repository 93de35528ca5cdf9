/**
 * What must be true once all is well again: every acknowledged byte is in the bucket, a fresh
 * mount shows what the bucket holds, and nothing is left behind.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/lib/clock.ts';
import type { Directory, Found, Version } from '../crash/truth.ts';
import { BucketView, uploadsLeft, viewOfMount } from '../crash/views.ts';
import { mountsBelow } from '../demo/wire-user.ts';
import { inWords, type Told, wrongIn } from './beliefs.ts';
import { FaultyMount, type HeldByMount } from './faulty-mount.ts';
import type { RoundPlan } from './plan.ts';
import type { FaultSite } from './site.ts';

export interface Standing {
  readonly site: FaultSite;
  readonly plan: RoundPlan;
  readonly mount: FaultyMount;
  /** In the bucket. */
  readonly folder: string;
  /** By each writer. */
  readonly told: readonly Told[];
  /** What the mount held before any load. */
  readonly before: HeldByMount;
  /** Put aside by earlier rounds. */
  readonly keptBefore: ReadonlySet<string>;
}

export interface Checked {
  /** Empty when everything is as it must be. */
  readonly wrong: readonly string[];
  readonly bytesChecked: number;
  readonly filesChecked: number;
  /** Put aside in this round, with a message: nothing that was acknowledged. */
  readonly kept: number;
  readonly held: HeldByMount;
}

const SETTLING_MS = 120_000;
const LOOK_EVERY_MS = 300;
/** Besides what it held before: connections, and files of the cache. */
const MORE_FILES = 80;
const MOST_SOCKETS = 160;
/** Of which the budget of content is at most 256 MiB; the rest is Node's own. */
const MOST_MEMORY_MB = 800;
/** Exit codes of a mount: all saved, or some put aside as it has told. */
const EXIT_CODES: readonly unknown[] = [0, 12];

export async function checkAll(standing: Standing, signal: AbortSignal): Promise<Checked> {
  const { site, mount, folder } = standing;
  const bucket = new BucketView(site.store, `${folder}/`);
  const wrong = [...(await unsettled(mount, signal))];
  const settled = await untilRight(
    async () => wrongInBucket(standing, await bucket.look(signal)),
    signal,
  );
  wrong.push(...settled.map((each) => `in the bucket: ${each}`));
  let held = await mount.held();
  // What was saved is copied to the disk cache first, and then given up.
  const leaked = await untilRight(async () => {
    held = await mount.held();
    return leakedBy(standing.before, held);
  }, signal);
  wrong.push(...leaked);
  const exitCode = await mount.stop();
  if (!EXIT_CODES.includes(exitCode))
    wrong.push(`it ended with ${exitCode ?? 'a kill'}: ${mount.said}`);
  const shown = await freshView(standing, signal);
  const found = await bucket.look(signal);
  wrong.push(...wrongInBucket(standing, found).map((each) => `in the bucket in the end: ${each}`));
  wrong.push(...(typeof shown === 'string' ? [shown] : differences(found, shown)));
  const left = await untilRight(async () => await leftBehind(standing, signal), signal);
  wrong.push(...left);
  const files = [...found.values()].filter((each) => each.kind === 'file');
  const bytes = files.reduce((sum, each) => sum + each.bytes, 0);
  const kept = (await keptFiles(site)).filter((path) => !standing.keptBefore.has(path)).length;
  return { wrong, held, kept, bytesChecked: 2 * bytes, filesChecked: 2 * files.length };
}

/** Until nothing is left to be saved. */
async function unsettled(mount: FaultyMount, signal: AbortSignal): Promise<readonly string[]> {
  return await untilRight(async () => {
    const {
      state,
      unsavedFiles = 0,
      uploads = 0,
    } = (await mount.state(signal)) ?? { state: 'lost' };
    if (state !== 'ready') return [`the mount is ${state}`];
    const count = unsavedFiles + uploads;
    return count === 0 ? [] : [`${unsavedFiles} files are not saved, ${uploads} on their way`];
  }, signal);
}

/** Asks until nothing is wrong; what is in the end. */
async function untilRight(
  ask: () => Promise<readonly string[]>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const deadline = performance.now() + SETTLING_MS;
  for (;;) {
    const wrong = await ask();
    if (wrong.length === 0 || performance.now() > deadline) return wrong;
    await systemClock.sleep(LOOK_EVERY_MS, signal);
  }
}

function wrongInBucket({ told }: Standing, found: Found): readonly string[] {
  return told.flatMap((each, nth) => wrongIn(each, partOf(found, `w${nth}`)));
}

function partOf(found: Found, folder: string): ReadonlyMap<string, Version | Directory> {
  const isOurs = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
  return new Map([...found].filter(([path]) => isOurs(path)));
}

/** What another mount shows that knows nothing of before. */
async function freshView(
  { site, plan, mount: { path }, folder }: Standing,
  signal: AbortSignal,
): Promise<Found | string> {
  await using fresh = new FaultyMount(site, { ...plan, ownClock: false }, path);
  const why = await fresh.start(signal);
  if (why !== undefined) return `it cannot be mounted afterwards: ${why}`;
  try {
    return await viewOfMount(join(path, folder));
  } catch (error) {
    return `a fresh mount cannot be read: ${String(error)}`;
  } finally {
    await fresh.stop();
  }
}

function differences(bucket: Found, shown: Found): readonly string[] {
  const paths = new Set([...bucket.keys(), ...shown.keys()]);
  return [...paths].flatMap((path) => {
    const [there, seen] = [inWords(bucket.get(path) ?? null), inWords(shown.get(path) ?? null)];
    return there === seen
      ? []
      : [`a fresh mount shows ${path} as ${seen}; the bucket has ${there}`];
  });
}

function leakedBy(before: HeldByMount, after: HeldByMount): readonly string[] {
  const wrong: string[] = [];
  const staged = after.files.filter((path) => path.includes('/staging/') && !isJournal(path));
  if (staged.length > 0) wrong.push(`open though all is saved: ${staged.join(', ')}`);
  if (after.files.length > before.files.length + MORE_FILES) {
    wrong.push(`${after.files.length} files are open, and were ${before.files.length}`);
  }
  if (after.sockets > MOST_SOCKETS) wrong.push(`${after.sockets} sockets are open`);
  if (after.memoryMb > MOST_MEMORY_MB) wrong.push(`${after.memoryMb.toFixed(0)} MB are in use`);
  return wrong;
}

/** After the last mount has ended. */
async function leftBehind(
  { site, mount, folder }: Standing,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const uploads = await uploadsLeft(site.store, `${folder}/`, signal);
  const mounts = (await mountsBelow(site.user.folder)).filter((path) => path === mount.path);
  const staged = (await stagedFiles(site)).filter((path) => !isKept(path));
  const sockets = await namesIn(join(site.user.folder, 'run'));
  return [
    ...uploads.map((key) => `an upload of ${key} was left`),
    ...mounts.map((path) => `${path} is still mounted`),
    ...staged.map((path) => `${path} was left`),
    ...sockets.filter((name) => name.endsWith('.sock')).map((name) => `${name} was left`),
  ];
}

/** What was put aside so far, by this round and those before. */
export async function keptFiles(site: FaultSite): Promise<readonly string[]> {
  return (await stagedFiles(site)).filter(isKept);
}

async function stagedFiles({ user }: FaultSite): Promise<readonly string[]> {
  return await namesIn(join(user.folder, 'state', 'staging'));
}

/** Files below `folder`, by their path from there. */
async function namesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.flatMap((entry) =>
    entry.isDirectory() ? [] : [join(entry.parentPath, entry.name)],
  );
}

const isKept = (path: string): boolean => path.includes('/kept/');
const isJournal = (path: string): boolean => /\/journal-\d+\.log/.test(path);
