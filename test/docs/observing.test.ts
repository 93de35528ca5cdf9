import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { metricsText } from '../../src/daemon/metrics.ts';
import type { MountStatus } from '../../src/daemon/mount.ts';
import { MountWatch } from '../../src/daemon/mount-watch.ts';
import { opcodes } from '../../src/fuse/protocol/abi.ts';
import { StoreError } from '../../src/store/errors.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { readMetrics } from '../fixtures/prometheus-text.ts';

/** A mount that knows everything of itself, and has had one of each. */
async function everything(): Promise<string> {
  const clock = new FakeClock();
  const watch = new MountWatch(clock);
  watch.operations.refused(opcodes.READ, watch.operations.moment(), 'EIO');
  const refused = async (): Promise<never> =>
    await Promise.reject(new StoreError('unavailable', 'x', { code: 'x' }));
  await watch.requests.time('put', refused, new AbortController().signal).catch(() => undefined);
  const status = {
    ...{ mountPoint: '/m', source: 's3://b', endpoint: 'https://s3.example', state: 'ready' },
    ...{ credentialsUntilMs: 1, openHandles: 1, unsavedFiles: 1, unsavedBytes: 1, uploads: 1 },
    ...{ failures: [], writeBack: { files: 1, bytes: 1, oldestMs: 1 } },
    reading: { memoryBytes: 1, hits: 1, misses: 1, fetchedBytes: 1, diskBytes: 1, archived: [] },
  } as unknown as MountStatus;
  const process = {
    ...{ version: '1', startedMs: 1, residentBytes: 1, cpuSeconds: 1 },
    ...{ auditFailures: 0, accessDropped: 0 },
  };
  return metricsText(process, [{ status, watch }]);
}

describe('OBSERVING', () => {
  it('lists every metric there is, with its labels, and no other', async () => {
    const { families, samples } = readMetrics(await everything());
    const rows = [...families].map(([name, { type, help }]) => {
      const own = samples.filter((sample) => sample.name.startsWith(name));
      const labels = new Set(own.flatMap((sample) => Object.keys(sample.labels)));
      labels.delete('le');
      const told = labels.size === 0 ? '–' : [...labels].join(', ');
      return `| \`${name}\` | ${type} | ${told} | ${help} |`;
    });
    const page = await readFile('docs/OBSERVING.md', 'utf8');
    const table = /<!-- metrics: begin -->\n([\s\S]*?)<!-- metrics: end -->/.exec(page)?.[1];
    expect(table?.trimEnd().split('\n').slice(2)).toEqual(rows);
  });
});
