import { describe, expect, it } from 'vitest';
import { runConformance } from '../../scripts/conformance/run.ts';
import { startPlayground } from '../../src/demo/playground.ts';

describe('the S3 conformance checks', () => {
  it.each([
    ['aws', 49],
    ['minio', 48],
    // Ceph RGW itself fails eleven: its quirks are part of the dialect.
    ['rgw', 38],
  ] as const)(
    'score on the playground in the dialect %s at least %d of 50',
    async (dialect, least) => {
      const signal = AbortSignal.timeout(110_000);
      await using playground = await startPlayground({ storeDialect: dialect }, signal);
      const results = await runConformance({ url: playground.endpoint }, playground.root, signal);
      const failed = results.filter(({ passed }) => !passed).map(({ name }) => name);
      expect(results).toHaveLength(50);
      expect({ failed, score: 50 - failed.length >= least }).toEqual({ failed, score: true });
    },
  );
});
