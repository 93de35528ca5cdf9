/** A walk through 10,000 names in 100 folders, beside the listing that it takes. */
import { listKeys } from '../raw/raw-client.ts';
import { LISTED, LISTED_KEYS } from '../stores/listed-keys.ts';
import { list } from './ordinary-programs.ts';
import { inTurn, type Place, type Sample, type Workload, withMount } from './workload.ts';

const MS_PER_SECOND = 1000;

/** Seconds of one walk below `path`. */
export type Walk = (path: string, signal: AbortSignal) => Promise<number>;

/** A walk of a new mount. Needs `listedKeys`. */
export function recursive(name: string, walk: Walk): Workload<object> {
  return {
    ...{ name, unit: 'ms', better: 'smaller' },
    async measure(place, signal) {
      const [wire, theirs] = await inTurn(
        place,
        async () =>
          await withMount(place, signal, async (mount) => await walk(mount.file(LISTED), signal)),
        async () => await listKeys(place.raw, `${LISTED}/`, signal),
      );
      if (theirs.keys !== LISTED_KEYS) throw new Error(`the raw client listed ${theirs.keys} keys`);
      return {
        wire: wire * MS_PER_SECOND,
        others: { raw: theirs.seconds * MS_PER_SECOND },
        notes: await countRequests(place, walk, signal),
      };
    },
  };
}

export const lslr: Workload<object> = recursive(
  'lslr',
  async (path, signal) => await list(path, ['-lR'], signal),
);

/** Once more, where requests are counted. */
async function countRequests(
  { scene, site }: Place,
  walk: Walk,
  signal: AbortSignal,
): Promise<NonNullable<Sample['notes']>> {
  await using mount = await scene.mount({ endpoint: site.countedEndpoint.href }, signal);
  const before = (await site.counts(signal)).requests;
  await walk(mount.file(LISTED), signal);
  const after = (await site.counts(signal)).requests;
  const more = (method: string): number => (after[method] ?? 0) - (before[method] ?? 0);
  return { 'HEAD requests': more('HEAD'), 'GET requests': more('GET') };
}
