/** What is read, through the mount and without it. Each measurement has a mount of its own. */
import { open } from 'node:fs/promises';
import { GiB, MiB } from '../../src/lib/bytes.ts';
import { dropCaches, readFile } from '../mounted/ordinary-programs.ts';
import { lslr } from '../mounted/recursive-listing.ts';
import { inTurn, type Workload, withMount } from '../mounted/workload.ts';
import { firstBytes, readRandomly, streamByCurl, streamByRanges } from '../raw/raw-client.ts';
import { median } from '../report.ts';
import { STAMP_EVERY_BYTES } from '../stores/contents.ts';
import {
  BIG,
  BIG_BYTES,
  firstByteKeys,
  PARALLEL,
  PARALLEL_BYTES,
  PARALLEL_FILES,
  type ReadScene,
} from './read-scene.ts';

const BIG_MIB = BIG_BYTES / MiB;
const BIG_GIB = BIG_BYTES / GiB;
/** Of the raw client's ranges, near and far: more bring nothing (docs/decisions). */
const NEAR_CONNECTIONS = 4;
const FAR_CONNECTIONS = 8;
const AMPLIFICATION_LIMIT = 32;
const AMPLIFICATION_READS = 500;

const seqCold: Workload<ReadScene> = {
  ...{ name: 'seq-cold', unit: 'MiB/s', better: 'greater' },
  async measure(place, signal) {
    const ours = async (): Promise<{ seconds: number; cpuSeconds: number }> =>
      await withMount(place, signal, async (mount) => {
        const before = await mount.cpuSeconds();
        const seconds = await readFile(mount.file(BIG), BIG_MIB, signal);
        return { seconds, cpuSeconds: (await mount.cpuSeconds()) - before };
      });
    const connections = place.site.rttMs === 0 ? NEAR_CONNECTIONS : FAR_CONNECTIONS;
    const [wire, [curl, ranges]] = await inTurn(place, ours, async () => [
      await streamByCurl(place.raw, BIG, signal),
      await streamByRanges(place.raw, BIG, { bytes: BIG_BYTES, connections }, signal),
    ]);
    return {
      wire: BIG_MIB / wire.seconds,
      others: { curl: BIG_MIB / curl.seconds, ranges: BIG_MIB / ranges.seconds },
      notes: {
        'wire, CPU s per GiB': wire.cpuSeconds / BIG_GIB,
        'curl, CPU s per GiB': curl.cpuSeconds / BIG_GIB,
        'ranges, CPU s per GiB': ranges.cpuSeconds / BIG_GIB,
      },
    };
  },
};

/** The second reading of a file, beside a local one. */
function reread(
  name: string,
  options: { readonly diskCache?: 'passthrough' | 'through wire' },
): Workload<ReadScene> {
  const { diskCache } = options;
  return {
    ...{ name, unit: 'MiB/s', better: 'greater' },
    missing: () =>
      diskCache === undefined || process.geteuid?.() === 0
        ? undefined
        : 'only root can drop the caches',
    async measure({ scene, site, local }, signal) {
      // What is on disk is not fetched again: the way to the server does not matter, but counts.
      const wanted = { endpoint: site.countedEndpoint.href, ...options };
      await using mount = await scene.mount(wanted, signal);
      const file = mount.file(BIG);
      await readFile(file, BIG_MIB, signal);
      const again = async (path: string): Promise<number> => {
        if (diskCache === undefined) await readFile(path, BIG_MIB, signal);
        else await dropCaches(signal);
        return BIG_MIB / (await readFile(path, BIG_MIB, signal));
      };
      const before = await site.counts(signal);
      const wire = await again(file);
      const after = await site.counts(signal);
      const fetchedMib = (after.bytesToClient - before.bytesToClient) / MiB;
      return {
        wire,
        others: { local: await again(local) },
        notes: { 'MiB fetched again': fetchedMib },
      };
    },
  };
}

/** Different ones each round; the same for wire and the raw client. */
function uniqueOffsets(count: number, round: number): number[] {
  const blocks = BIG_BYTES / STAMP_EVERY_BYTES;
  // Odd steps reach every block of a power of two before one comes again; this one is far.
  const step = Math.floor(blocks * 0.618_034) | 1;
  const offsets: number[] = [];
  let at = (round * 104_729) % blocks;
  for (let nth = 0; nth < count; nth += 1) {
    offsets.push(at * STAMP_EVERY_BYTES);
    at = (at + step) % blocks;
  }
  return offsets;
}

function randomReads(
  name: string,
  processes: number,
  near: number,
  far: number,
): Workload<ReadScene> {
  return {
    ...{ name, unit: '1/s', better: 'greater' },
    async measure(place, signal) {
      const count = place.site.rttMs === 0 ? near : far;
      const offsets = uniqueOffsets(count, place.round);
      const ours = async (): Promise<{ seconds: number; cpuSeconds: number }> =>
        await withMount(place, signal, async (mount) => {
          const before = await mount.cpuSeconds();
          const seconds = await place.reads.random(mount.file(BIG), offsets, processes, signal);
          return { seconds, cpuSeconds: (await mount.cpuSeconds()) - before };
        });
      const [wire, raw] = await inTurn(
        place,
        ours,
        async () => await readRandomly(place.raw, BIG, offsets, processes, signal),
      );
      return {
        wire: count / wire.seconds,
        others: { raw: count / raw.seconds },
        notes: {
          'wire, CPU us per read': (wire.cpuSeconds / count) * 1e6,
          'raw, CPU us per read': (raw.cpuSeconds / count) * 1e6,
        },
      };
    },
  };
}

const amplification: Workload<ReadScene> = {
  ...{ name: 'amplification', unit: 'x', better: 'smaller' },
  async measure(place, signal) {
    const { scene, site, round } = place;
    await using mount = await scene.mount({ endpoint: site.countedEndpoint.href }, signal);
    const offsets = uniqueOffsets(AMPLIFICATION_READS, round);
    const before = await site.counts(signal);
    await place.reads.random(mount.file(BIG), offsets, 16, signal);
    const { bytesToClient } = await site.counts(signal);
    const fetched = bytesToClient - before.bytesToClient;
    const wire = fetched / (AMPLIFICATION_READS * STAMP_EVERY_BYTES);
    return { wire, others: { limit: AMPLIFICATION_LIMIT } };
  },
};

const firstByte: Workload<ReadScene> = {
  ...{ name: 'first-byte', unit: 'ms', better: 'smaller' },
  async measure(place, signal) {
    const extent = { start: 0, end: STAMP_EVERY_BYTES };
    const ours = async (): Promise<number[]> =>
      await withMount(place, signal, async (mount) => {
        const times: number[] = [];
        for (const key of firstByteKeys) {
          signal.throwIfAborted();
          times.push(await firstByteOf(mount.file(key)));
        }
        // The first is also the first of its folder.
        return times.slice(1);
      });
    const [wire, raw] = await inTurn(
      place,
      ours,
      async () => await firstBytes(place.raw, firstByteKeys, extent, signal),
    );
    // What a name costs and what its bytes cost: a round trip and the server's time each.
    const limit = 2 * median(raw);
    return { wire: median(wire), others: { limit }, notes: { 'raw GET, ms': median(raw) } };
  },
};

async function firstByteOf(path: string): Promise<number> {
  const started = performance.now();
  const file = await open(path);
  try {
    await file.read(Buffer.allocUnsafe(STAMP_EVERY_BYTES), 0, STAMP_EVERY_BYTES, 0);
    return performance.now() - started;
  } finally {
    await file.close();
  }
}

const parallel: Workload<ReadScene> = {
  ...{ name: 'parallel-100', unit: 'MiB/s', better: 'greater' },
  async measure(place, signal) {
    const mib = (PARALLEL_FILES * PARALLEL_BYTES) / MiB;
    const [many, one] = await inTurn(
      place,
      async () =>
        await withMount(place, signal, async (mount) => {
          const folder = mount.file(PARALLEL);
          const { bytes, seconds } = await place.reads.whole(folder, PARALLEL_FILES, signal);
          if (bytes !== mib * MiB) throw new Error(`${bytes} bytes were read`);
          return mib / seconds;
        }),
      async () =>
        await withMount(
          place,
          signal,
          async (mount) => mib / (await readFile(mount.file(BIG), mib, signal)),
        ),
    );
    return { wire: many, others: { one } };
  },
};

/** What the daemon needs beside its budget, at most, in MB. */
const BESIDE_BUDGET_MB = 110;

/** Peak memory of a mount with a budget of its own, in which all kinds of reading were done. */
function peakMemory(budgetMib: number): Workload<ReadScene> {
  return {
    ...{ name: `rss-${budgetMib}`, unit: 'MB', better: 'smaller' },
    async measure({ scene, site, reads, round }, signal) {
      const options = { endpoint: site.endpoint.href, memory: `${budgetMib}MiB` };
      await using mount = await scene.mount(options, signal);
      const file = mount.file(BIG);
      await readFile(file, BIG_MIB, signal);
      await reads.random(file, uniqueOffsets(AMPLIFICATION_READS, round), 16, signal);
      return { wire: await mount.peakMb(), others: { limit: BESIDE_BUDGET_MB + budgetMib } };
    },
  };
}

/** In the order they run. */
export const workloads: readonly Workload<ReadScene>[] = [
  seqCold,
  reread('reread-passthrough', { diskCache: 'passthrough' }),
  reread('reread', { diskCache: 'through wire' }),
  reread('page-cache', {}),
  randomReads('rand4k-1', 1, 2000, 150),
  randomReads('rand4k-16', 16, 4000, 1600),
  amplification,
  firstByte,
  lslr,
  parallel,
  peakMemory(48),
  peakMemory(256),
];
