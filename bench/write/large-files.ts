/** Long files: one written from its start to its end, and one of which a byte is changed. */
import { GiB, MiB } from '../../src/lib/bytes.ts';
import { copyFile } from '../mounted/ordinary-programs.ts';
import { inTurn, type Place, type Workload, withMount } from '../mounted/workload.ts';
import type { RawCost } from '../raw/raw-client.ts';
import { bytesAt, sizeOf, uploadByParts } from '../raw/raw-writer.ts';
import { checkStamp, STAMP_EVERY_BYTES } from '../stores/contents.ts';
import { emptyPrefix } from '../stores/emptying.ts';
import { BIG_BYTES, PATCHED, type WriteScene } from './write-scene.ts';

const BIG_MIB = BIG_BYTES / MiB;
const BIG_GIB = BIG_BYTES / GiB;
const FOLDER = 'seq';
/** Parts at a time of the raw client. */
const FEW = 4;
const MANY = 8;
const PART_BYTES = 8 * MiB;

const seqWrite: Workload<WriteScene> = {
  ...{ name: 'seq-write', unit: 'MiB/s', better: 'greater' },
  async measure(place, signal) {
    const { scene, raw, local } = place;
    const ours = async (): Promise<RawCost> =>
      await withMount(place, signal, async (mount) => {
        const before = await mount.cpuSeconds();
        const seconds = await copyFile(local, mount.file(`${FOLDER}-wire`), signal);
        const cpuSeconds = (await mount.cpuSeconds()) - before;
        await checkCopy(place, `${FOLDER}-wire`, signal);
        return { seconds, cpuSeconds };
      });
    const theirs = async (connections: number): Promise<RawCost> => {
      const key = `${FOLDER}-raw-${connections}`;
      const cost = await uploadByParts(raw, { path: local, key, connections }, signal);
      await checkCopy(place, key, signal);
      await emptyPrefix(scene.store, key, signal);
      return cost;
    };
    const [wire, [few, many]] = await inTurn(place, ours, async () => [
      await theirs(FEW),
      await theirs(MANY),
    ]);
    await emptyPrefix(scene.store, FOLDER, signal);
    return {
      wire: BIG_MIB / wire.seconds,
      others: { 'raw-4': BIG_MIB / few.seconds, 'raw-8': BIG_MIB / many.seconds },
      notes: {
        'wire, CPU s per GiB': wire.cpuSeconds / BIG_GIB,
        'raw-4, CPU s per GiB': few.cpuSeconds / BIG_GIB,
        'raw-8, CPU s per GiB': many.cpuSeconds / BIG_GIB,
      },
    };
  },
};

/** @throws Error when the object is not as long as the local file, or some of it is not the same. */
async function checkCopy({ raw }: Place, key: string, signal: AbortSignal): Promise<void> {
  const bytes = await sizeOf(raw, key, signal);
  if (bytes !== BIG_BYTES) throw new Error(`${key} has ${bytes} bytes`);
  const last = BIG_BYTES - STAMP_EVERY_BYTES;
  for (const start of [0, PART_BYTES, BIG_BYTES / 2 + STAMP_EVERY_BYTES, last]) {
    const extent = { start, end: start + STAMP_EVERY_BYTES };
    checkStamp(await bytesAt(raw, key, extent, signal), start);
  }
}

/** What one changed byte of a long object costs: parts that are sent. What is fetched is told beside. */
const patch: Workload<WriteScene> = {
  ...{ name: 'patch-1-byte', unit: 'parts', better: 'smaller' },
  async measure({ scene, site, raw, writes, round }, signal) {
    await using mount = await scene.mount({ endpoint: site.countedEndpoint.href }, signal);
    // Beside the stamps, and not at the border of a part.
    const offset = (round * 97 + 301) * MiB + 1000;
    const before = await site.counts(signal);
    const seconds = await writes.patch(mount.file(PATCHED), offset, signal);
    const after = await site.counts(signal);
    const extent = { start: offset, end: offset + 1 };
    const changed = await bytesAt(raw, PATCHED, extent, signal);
    if (changed.toString() !== '!') throw new Error('the changed byte is not in the bucket');
    const more = (method: string): number =>
      (after.requests[method] ?? 0) - (before.requests[method] ?? 0);
    const fetched = after.bytesToClient - before.bytesToClient;
    return {
      wire: more('PUT'),
      others: { limit: 1 },
      notes: {
        seconds,
        'MiB sent': (after.bytesToServer - before.bytesToServer) / MiB,
        'MiB fetched': fetched / MiB,
        'parts copied on the server': more('COPY'),
      },
    };
  },
};

export const largeFiles: readonly Workload<WriteScene>[] = [seqWrite, patch];
