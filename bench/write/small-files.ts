/** Small files by the thousand: created, written and closed, each saved or only accepted. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { untar } from '../mounted/ordinary-programs.ts';
import type { WireMount } from '../mounted/wire-mount.ts';
import { inTurn, type Place, type Workload, withMount } from '../mounted/workload.ts';
import { SMALL_BYTES } from '../mounted/writes-program.ts';
import { listKeys, type RawCost } from '../raw/raw-client.ts';
import { putAll } from '../raw/raw-writer.ts';
import { emptyPrefix } from '../stores/emptying.ts';
import { TREE_BODY, treePaths, type WriteScene } from './write-scene.ts';

const FILES = 2000;
/** Of one writer where each takes a round trip: the rate is the same. */
const FEW_FILES = 200;
const WRITERS = 16;
/** Of the connections in the goals. */
const CONNECTIONS = 16;
const TREE_FILES = 10_000;
/** Where 10,000 take minutes; the time is shown for as many. */
const FEW_TREE_FILES = 500;
/** A second. */
const ACCEPT_LIMIT = 3000;
const FOLDER = 'small';

type Surroundings = Place & WriteScene;

/** In the bucket, of a raw client: `files` PUTs over so many connections. */
async function rawPuts(
  { scene, raw }: Surroundings,
  names: readonly string[],
  body: Buffer,
  connections: number,
  signal: AbortSignal,
): Promise<RawCost> {
  const keys = names.map((name) => `${FOLDER}-raw/${name}`);
  const cost = await putAll(raw, { keys, body, connections }, signal);
  await emptyPrefix(scene.store, `${FOLDER}-raw/`, signal);
  return cost;
}

const smallBody = Buffer.alloc(SMALL_BYTES, 'w');
const smallNames = (files: number): string[] => Array.from({ length: files }, (_, at) => `f${at}`);

/** A folder of the mount that is known: it was made by it. */
async function newFolder(mount: WireMount, name: string): Promise<string> {
  const folder = mount.file(name);
  await mkdir(folder, { recursive: true });
  return folder;
}

async function expectKeys(
  { raw }: Surroundings,
  folder: string,
  expected: number,
  signal: AbortSignal,
): Promise<void> {
  const { keys } = await listKeys(raw, `${folder}/`, signal);
  // The folder has one of its own.
  if (keys !== expected + 1) throw new Error(`${keys} keys are in the bucket below ${folder}`);
}

interface Written {
  readonly first: number;
  readonly again: number;
  readonly cpuUs: number;
}

/** Files a second, the first time and once more in the same mount. */
function saved(writers: 1 | 16): Workload<WriteScene> {
  return {
    ...{ name: `small-${writers}`, unit: '1/s', better: 'greater' },
    async measure(place, signal) {
      const files = writers === 1 && place.site.rttMs > 0 ? FEW_FILES : FILES;
      const ours = async (): Promise<Written> =>
        await withMount(place, signal, async (mount) => {
          const write = async (name: string): Promise<number> => {
            const folder = await newFolder(mount, name);
            const seconds = await place.writes.small({ folder, files, writers }, signal);
            await expectKeys(place, name, files, signal);
            return seconds;
          };
          const before = await mount.cpuSeconds();
          const first = await write(`${FOLDER}-1`);
          const cpuUs = (((await mount.cpuSeconds()) - before) / files) * 1e6;
          return { first, again: await write(`${FOLDER}-2`), cpuUs };
        });
      const [wire, raw] = await inTurn(
        place,
        ours,
        async () => await rawPuts(place, smallNames(files), smallBody, writers, signal),
      );
      await emptyPrefix(place.scene.store, FOLDER, signal);
      return {
        wire: files / wire.first,
        others: { raw: files / raw.seconds },
        notes: {
          'again in the same mount, 1/s': files / wire.again,
          'wire, CPU us per file': wire.cpuUs,
          'raw, CPU us per file': (raw.cpuSeconds / files) * 1e6,
          ...(await requestsPerFile(place, writers, signal)),
        },
      };
    },
  };
}

/** Once more, where requests are counted. */
async function requestsPerFile(
  place: Surroundings,
  writers: number,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const { scene, site, writes } = place;
  await using mount = await scene.mount({ endpoint: site.countedEndpoint.href }, signal);
  const folder = await newFolder(mount, `${FOLDER}-counted`);
  const before = (await site.counts(signal)).requests;
  await writes.small({ folder, files: FEW_FILES, writers }, signal);
  const after = (await site.counts(signal)).requests;
  await emptyPrefix(scene.store, FOLDER, signal);
  const made = Object.entries(after).map(([method, count]): [string, number] => [
    `${method} per file`,
    (count - (before[method] ?? 0)) / FEW_FILES,
  ]);
  return Object.fromEntries(made.filter(([, count]) => count > 0));
}

/** What close() accepts, and what of it is in the bucket. */
const accepted: Workload<WriteScene> = {
  ...{ name: 'writeback-accept', unit: '1/s', better: 'greater' },
  async measure(place, signal) {
    const [first, one] = await withMount(
      place,
      signal,
      async (mount) => {
        const write = async (name: string, writers: number): Promise<number> => {
          const folder = await newFolder(mount, name);
          return FILES / (await place.writes.small({ folder, files: FILES, writers }, signal));
        };
        return [await write(`${FOLDER}-1`, WRITERS), await write(`${FOLDER}-2`, 1)];
      },
      { writeBack: 'on' },
    );
    // The mount has ended well: everything is there.
    for (const nth of [1, 2]) await expectKeys(place, `${FOLDER}-${nth}`, FILES, signal);
    await emptyPrefix(place.scene.store, FOLDER, signal);
    return {
      wire: first,
      others: { limit: ACCEPT_LIMIT },
      notes: { 'then by one writer, 1/s': one },
    };
  },
};

const durable: Workload<WriteScene> = {
  ...{ name: 'writeback-durable', unit: '1/s', better: 'greater' },
  async measure(place, signal) {
    const { writes, localFolder } = place;
    const files = FILES;
    const writers = WRITERS;
    const [wire, disk] = await inTurn(
      place,
      async () =>
        await withMount(
          place,
          signal,
          async (mount) => {
            const folder = await newFolder(mount, `${FOLDER}-1`);
            return await writes.small({ folder, files, writers }, signal);
          },
          { writeBack: 'durable' },
        ),
      async () => {
        const folder = join(localFolder, 'synced');
        await mkdir(folder);
        const seconds = await writes.small({ folder, files, writers, sync: 'each' }, signal);
        await rm(folder, { recursive: true });
        return seconds;
      },
    );
    await expectKeys(place, `${FOLDER}-1`, files, signal);
    await emptyPrefix(place.scene.store, FOLDER, signal);
    return { wire: files / wire, others: { disk: files / disk } };
  },
};

const inBucket: Workload<WriteScene> = {
  ...{ name: 'writeback-bucket', unit: '1/s', better: 'greater' },
  async measure(place, signal) {
    const files = FILES;
    const [wire, raw] = await inTurn(
      place,
      async () =>
        await withMount(
          place,
          signal,
          async (mount) => {
            const folder = await newFolder(mount, `${FOLDER}-1`);
            const all = { folder, files, writers: WRITERS, sync: 'folder' } as const;
            const seconds = await place.writes.small(all, signal);
            await expectKeys(place, `${FOLDER}-1`, files, signal);
            return seconds;
          },
          { writeBack: 'on' },
        ),
      async () => await rawPuts(place, smallNames(files), smallBody, CONNECTIONS, signal),
    );
    await emptyPrefix(place.scene.store, FOLDER, signal);
    return { wire: files / wire, others: { raw: files / raw.seconds } };
  },
};

/** An archive of a tree unpacked by one program, beside PUTs of the same bytes. */
const unpacked: Workload<WriteScene> = {
  ...{ name: 'untar-10k', unit: 's', better: 'smaller' },
  async measure(place, signal) {
    const { scene, site, localFolder } = place;
    const isNear = site.rttMs === 0 && scene.store.name === 'playground';
    const files = isNear ? TREE_FILES : FEW_TREE_FILES;
    const scale = TREE_FILES / files;
    const archive = await place.archive(files, signal);
    const into = async (folder: string): Promise<number> =>
      (await untar(archive, folder, signal)) * scale;
    const [wire, raw] = await inTurn(
      place,
      async () =>
        await withMount(place, signal, async (mount) => {
          const seconds = await into(await newFolder(mount, `${FOLDER}-tree`));
          const { keys } = await listKeys(place.raw, `${FOLDER}-tree/`, signal);
          if (keys < files) throw new Error(`${keys} keys are in the bucket`);
          return seconds;
        }),
      async () =>
        await rawPuts(place, treePaths(files), Buffer.from(TREE_BODY), CONNECTIONS, signal),
    );
    const folder = join(localFolder, 'tree');
    await mkdir(folder);
    const local = await into(folder);
    await rm(folder, { recursive: true });
    await emptyPrefix(scene.store, FOLDER, signal);
    return {
      wire,
      others: { raw: raw.seconds * scale },
      notes: { 'to the local disk, s': local, 'files unpacked': files },
    };
  },
};

export const smallFiles: readonly Workload<WriteScene>[] = [
  saved(1),
  saved(16),
  accepted,
  durable,
  inBucket,
  unpacked,
];
