/** The suite `metadata`: names and attributes, of 10,000 objects and more. */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { SuiteOptions, SuiteOutcome } from '../main.ts';
import { find, list } from '../mounted/ordinary-programs.ts';
import { ReadsProgram } from '../mounted/reads-program.ts';
import { lslr, recursive } from '../mounted/recursive-listing.ts';
import type { BenchScene } from '../mounted/scene.ts';
import { measureMounted } from '../mounted/suite.ts';
import { inTurn, type Workload, withMount } from '../mounted/workload.ts';
import { headAll, listKeys } from '../raw/raw-client.ts';
import { flatNames, listedKeys, SMALL_BODY } from '../stores/listed-keys.ts';

interface MetadataScene {
  readonly reads: ReadsProgram;
  /** A folder with a folder FLAT of the same names, for each size. */
  readonly local: string;
}

const MS_PER_SECOND = 1000;
const STATS = 1000;
/** Objects of one folder, small and large. */
const SMALL_FOLDER = 10_000;
const LARGE_FOLDER = 100_000;

const flat = (names: number): string => `flat-${names / 1000}k`;

/** `ls -l` of one folder, for the first time. */
function firstList(names: number): Workload<MetadataScene> {
  const name = `ls-${names / 1000}k`;
  return {
    ...{ name, unit: 'ms', better: 'smaller', ...onPlaygroundFrom(names) },
    async measure(place, signal) {
      const [wire, raw] = await inTurn(
        place,
        async () =>
          await withMount(
            place,
            signal,
            async (mount) => await list(mount.file(flat(names)), ['-l'], signal),
          ),
        async () => await listKeys(place.raw, `${flat(names)}/`, signal),
      );
      return { wire: wire * MS_PER_SECOND, others: { raw: raw.seconds * MS_PER_SECOND } };
    },
  };
}

/** The same folder listed again, beside a local one. */
function secondList(names: number): Workload<MetadataScene> {
  const name = `ls-${names / 1000}k-again`;
  return {
    ...{ name, unit: 'ms', better: 'smaller', ...onPlaygroundFrom(names) },
    async measure(place, signal) {
      const again = async (folder: string): Promise<number> => {
        await list(folder, ['-l'], signal);
        return (await list(folder, ['-l'], signal)) * MS_PER_SECOND;
      };
      const wire = await withMount(
        place,
        signal,
        async (mount) => await again(mount.file(flat(names))),
      );
      return { wire, others: { local: await again(join(place.local, flat(names))) } };
    },
  };
}

/** Elsewhere it takes minutes to make them. */
function onPlaygroundFrom(names: number): Pick<Workload<MetadataScene>, 'missing'> {
  return {
    missing: (server) =>
      names < LARGE_FOLDER || server === 'playground'
        ? undefined
        : `it takes minutes to make ${names} objects`,
  };
}

/** Names that a program knows without having listed them, one after the other. */
const stat: Workload<MetadataScene> = {
  ...{ name: 'stat-1000', unit: '1/s', better: 'greater' },
  async measure(place, signal) {
    const all = flatNames(SMALL_FOLDER);
    // A prime far from a divisor: all over the folder, and none twice.
    const names = Array.from(
      { length: STATS },
      (_, at) => all[(at * 6997 + place.round) % SMALL_FOLDER] ?? '',
    );
    const folder = flat(SMALL_FOLDER);
    const keys = names.map((name) => `${folder}/${name}`);
    const [wire, raw] = await inTurn(
      place,
      async () =>
        await withMount(
          place,
          signal,
          async (mount) => await place.reads.stat(mount.file(folder), names, signal),
        ),
      async () => await headAll(place.raw, keys, signal),
    );
    return { wire: STATS / wire, others: { raw: STATS / raw } };
  },
};

const workloads: readonly Workload<MetadataScene>[] = [
  lslr,
  recursive('find', find),
  firstList(SMALL_FOLDER),
  secondList(SMALL_FOLDER),
  stat,
  firstList(LARGE_FOLDER),
  secondList(LARGE_FOLDER),
];

export async function measureMetadata(options: SuiteOptions): Promise<SuiteOutcome> {
  const { measurements, notes, peakMb } = await measureMounted({ workloads, prepare }, options);
  return { measurements, notes: { ...notes, 'peak memory, MB': peakMb.toFixed(0) } };
}

async function prepare(
  { store, user }: BenchScene,
  chosen: readonly { readonly name: string }[],
  signal: AbortSignal,
): Promise<MetadataScene> {
  const reads = await ReadsProgram.compile(signal);
  const local = join(user.folder, 'local');
  await store.plant(listedKeys(), SMALL_BODY, signal);
  const large = chosen.some(({ name }) => name.startsWith(`ls-${LARGE_FOLDER / 1000}k`));
  for (const size of large ? [SMALL_FOLDER, LARGE_FOLDER] : [SMALL_FOLDER]) {
    const names = flatNames(size);
    await store.plant(
      names.map((name) => `${flat(size)}/${name}`),
      SMALL_BODY,
      signal,
    );
    await makeFiles(join(local, flat(size)), names, signal);
  }
  return { reads, local };
}

async function makeFiles(
  folder: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of names) {
    signal.throwIfAborted();
    await (await open(join(folder, name), 'w')).close();
  }
}
