import { describe, expect, it } from 'vitest';
import { metricsText, type ProcessFigures } from '../../../src/daemon/metrics.ts';
import { MetricsText } from '../../../src/daemon/metrics-text.ts';
import type { MountStatus } from '../../../src/daemon/mount.ts';
import { MountWatch } from '../../../src/daemon/mount-watch.ts';
import { opcodes } from '../../../src/fuse/protocol/abi.ts';
import { Histogram } from '../../../src/lib/histogram.ts';
import { StoreError } from '../../../src/store/errors.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { readMetrics } from '../../fixtures/prometheus-text.ts';

const forever = new AbortController().signal;
const process: ProcessFigures = {
  ...{ version: '1.2.3', startedMs: 1000, residentBytes: 5, cpuSeconds: 0.25 },
  ...{ auditFailures: 0, accessDropped: 0 },
};

const status = {
  ...{ mountPoint: '/home/u/"odd"\n\\', source: 's3://b/p/', endpoint: 'https://s3.example' },
  ...{ state: 'ready', readOnly: false, issuer: 'https://iam.example', degraded: undefined },
  ...{
    credentialsUntilMs: 5_000_000,
    openHandles: 2,
    unsavedFiles: 1,
    unsavedBytes: 7,
    uploads: 1,
  },
  failures: [{ name: 'secret-thesis', message: 'AccessDenied', atMs: 0 }],
  writeBack: { files: 1, bytes: 7, oldestMs: 2000, trouble: undefined },
  reading: {
    ...{ memoryBytes: 9, hits: 3, misses: 1, readBytes: 40, fetchedBytes: 50, diskBytes: 60 },
    ...{ amplification: 1, archived: ['secret-archive'] },
  },
} as unknown as MountStatus;

describe('metrics', () => {
  it('are what Prometheus reads, whatever a mount is called', async () => {
    const clock = new FakeClock();
    const watch = new MountWatch(clock);
    const arrived = watch.operations.moment();
    await clock.advance(2);
    watch.operations.answered(opcodes.READ, arrived, 40);
    watch.operations.refused(opcodes.LOOKUP, watch.operations.moment(), 'ENOENT');
    const refused = async (): Promise<never> =>
      await Promise.reject(new StoreError('unavailable', 'x', { code: 'secret-object' }));
    await expect(watch.requests.time('put', refused, forever)).rejects.toThrow();
    watch.requests.noteSent(11);
    const text = metricsText(process, [{ status, watch }]);
    const { families, samples } = readMetrics(text);
    const mount = status.mountPoint;
    const valueOf = (name: string, labels: Record<string, string> = {}): number | undefined =>
      samples.find(
        (one) =>
          one.name === name &&
          Object.entries(labels).every(([label, value]) => one.labels[label] === value),
      )?.value;
    expect(valueOf('wire_build_info', { version: '1.2.3' })).toBe(1);
    expect(valueOf('wire_mount_info', { mount, source: 's3://b/p/', access: 'read-write' })).toBe(
      1,
    );
    expect(valueOf('wire_credentials_expiry_timestamp_seconds', { mount })).toBe(5000);
    expect(valueOf('wire_unsaved_bytes', { mount })).toBe(7);
    expect(valueOf('wire_cache_reads_total', { mount, result: 'hit' })).toBe(3);
    expect(valueOf('wire_fuse_bytes_total', { direction: 'read' })).toBe(40);
    expect(valueOf('wire_store_bytes_total', { direction: 'sent' })).toBe(11);
    const lookups = { operation: 'lookup', errno: 'ENOENT' };
    expect(valueOf('wire_fuse_errors_total', lookups)).toBe(1);
    expect(valueOf('wire_store_errors_total', { request: 'put', kind: 'unavailable' })).toBe(1);
    const read = { mount, operation: 'read' };
    const name = 'wire_fuse_operation_duration_seconds';
    expect(valueOf(`${name}_bucket`, { ...read, le: '0.001024' })).toBe(0);
    expect(valueOf(`${name}_bucket`, { ...read, le: '0.004096' })).toBe(1);
    expect(valueOf(`${name}_sum`, read)).toBe(0.002);
    for (const [family, { type }] of families) {
      expect([family, type === 'counter']).toEqual([family, family.endsWith('_total')]);
      expect(family).toMatch(/^wire_[a-z_]+$/);
    }
    // Of objects, people and secrets nothing is told.
    expect(text).not.toMatch(/secret|iam\.example/);
  });

  it('tell nothing of what is not known, and no mount where there is none', () => {
    const text = new MetricsText();
    text.gauge('wire_unknown', 'Not there.', undefined);
    expect(text.toString()).toBe('\n');
    expect(readMetrics(metricsText(process, [])).samples.map(({ name }) => name)).not.toContain(
      'wire_mount_ready',
    );
  });
});

describe('a histogram as text', () => {
  it('has buckets that add up, from 16 µs to more than a minute', () => {
    const times = new Histogram();
    for (const us of [3, 20, 20, 900, 70_000, 80_000_000]) times.record(us);
    const text = new MetricsText();
    text.histogram('wire_x_seconds', 'X.', times, { a: 'b' });
    const { samples } = readMetrics(text.toString());
    const buckets = samples.filter(({ name }) => name === 'wire_x_seconds_bucket');
    expect(buckets.map(({ labels, value }) => [labels['le'], value])).toEqual([
      ['0.000016', 1],
      ['0.000064', 3],
      ['0.000256', 3],
      ['0.001024', 4],
      ['0.004096', 4],
      ['0.016384', 4],
      ['0.065536', 4],
      ['0.262144', 5],
      ['1.048576', 5],
      ['4.194304', 5],
      ['16.777216', 5],
      ['67.108864', 5],
      ['+Inf', 6],
    ]);
  });
});
