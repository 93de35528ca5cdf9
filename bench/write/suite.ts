/** The suite `write`: until bytes and names are in the bucket, or safe on the disk. */
import type { SuiteOptions, SuiteOutcome } from '../main.ts';
import { measureMounted } from '../mounted/suite.ts';
import type { Measurement } from '../report.ts';
import { largeFiles } from './large-files.ts';
import { smallFiles } from './small-files.ts';
import { prepareWrite } from './write-scene.ts';

/** Most that a daemon may ever use at the default `--memory`, in MB. */
const RSS_LIMIT = 150;

export async function measureWrite(options: SuiteOptions): Promise<SuiteOutcome> {
  const workloads = [...largeFiles, ...smallFiles];
  const { measurements, notes, peakMb } = await measureMounted(
    { workloads, prepare: prepareWrite },
    options,
  );
  const rss: Measurement = {
    ...{ name: 'rss', unit: 'MB', better: 'smaller' },
    ...{ wire: [peakMb], others: { limit: [RSS_LIMIT] } },
  };
  return { measurements: [...measurements, rss], notes };
}
