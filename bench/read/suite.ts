/** The suite `read`: contents, and the names of a recursive listing. */
import { MiB } from '../../src/lib/bytes.ts';
import type { SuiteOptions, SuiteOutcome } from '../main.ts';
import { measureMounted } from '../mounted/suite.ts';
import type { Place } from '../mounted/workload.ts';
import { streamByCurl } from '../raw/raw-client.ts';
import type { Measurement } from '../report.ts';
import { BIG, BIG_BYTES, prepareRead } from './read-scene.ts';
import { workloads } from './workloads.ts';

/** Most that a daemon may ever use at the default `--memory`, in MB. */
const RSS_LIMIT = 150;

export async function measureRead(options: SuiteOptions): Promise<SuiteOutcome> {
  const suite = { workloads, prepare: prepareRead, describe: ceilingOfProxy };
  const { measurements, notes, peakMb } = await measureMounted(suite, options);
  const rss: Measurement = {
    ...{ name: 'rss', unit: 'MB', better: 'smaller' },
    ...{ wire: [peakMb], others: { limit: [RSS_LIMIT] } },
  };
  return { measurements: [...measurements, rss], notes };
}

/** What the proxy itself lets through. */
async function ceilingOfProxy(
  { site, raw, scene }: Place,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const rates: string[] = [];
  for (const endpoint of [site.countedEndpoint, new URL(scene.store.endpoint)]) {
    const { seconds } = await streamByCurl({ ...raw, endpoint }, BIG, signal);
    rates.push((BIG_BYTES / MiB / seconds).toFixed(0));
  }
  const [through = '', direct = ''] = rates;
  const name = `one stream of curl's${site.suffix}, MiB/s`;
  return { [name]: `${through} through the proxy, ${direct} without` };
}
