/** The S3 interface itself: which of the checks of `npm run conformance` each server fails. */
import { expect, it } from 'vitest';
import { runConformance } from '../../scripts/conformance/run.ts';
import { startServer } from '../../scripts/servers/start.ts';
import { describeServers, PATIENCE_MS } from './chosen-servers.ts';
import { conformanceDifferences } from './differences.ts';

await describeServers('S3', undefined, (name) => {
  it('fails the checks that are known of it, and no others', async () => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await using server = await startServer(name, {}, signal);
    const results = await runConformance({ url: server.endpoint }, server.root, signal);
    const failed = results.filter(({ passed }) => !passed);
    const known = Object.keys(conformanceDifferences[name]);
    // With the reasons, for whoever has to read of a difference.
    expect(failed.filter((result) => !known.includes(result.name))).toEqual([]);
    expect(failed.map((result) => result.name).toSorted()).toEqual(known.toSorted());
  });
});
