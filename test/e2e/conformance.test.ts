import { describe, expect, it } from 'vitest';
import { runConformance } from '../../scripts/conformance/run.ts';
import { startPlayground } from '../../src/demo/playground.ts';

describe('the S3 conformance checks', () => {
  it.each([
    ['aws', 45],
    ['minio', 45],
    // Ceph RGW itself fails nine: its quirks are part of the dialect.
    ['rgw', 36],
  ] as const)(
    'score on the playground in the dialect %s at least %d of 46',
    async (dialect, least) => {
      const signal = AbortSignal.timeout(110_000);
      await using playground = await startPlayground({ storeDialect: dialect }, signal);
      const results = await runConformance({ url: playground.endpoint }, playground.root, signal);
      const failed = results.filter(({ passed }) => !passed).map(({ name }) => name);
      expect(results).toHaveLength(46);
      expect({ failed, score: 46 - failed.length >= least }).toEqual({ failed, score: true });
    },
  );
});
