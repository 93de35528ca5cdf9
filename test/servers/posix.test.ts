/** The POSIX table on a mount of each server. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileCalls } from '../posix/caller.ts';
import { complaints } from '../posix/exceptions.ts';
import { mountedPlace } from '../posix/places.ts';
import { runChecks, whyNoChecks } from '../posix/run.ts';
import { suite } from '../posix/suite.ts';
import { describeServers, PATIENCE_MS, whyNoMounts } from './chosen-servers.ts';

const whyNot = (await whyNoChecks()) ?? whyNoMounts;

await describeServers('the POSIX table', whyNot, (name) => {
  let folder: string;
  let program: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-posix-'));
    program = await compileCalls(folder);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it.each(['default', 'posix'] as const)(
    'holds in %s mode, but for the exceptions that docs/SEMANTICS.md names',
    async (mode) => {
      await using place = await mountedPlace(name, mode, [], AbortSignal.timeout(PATIENCE_MS));
      const results = await runChecks(place.path, program);
      expect(results).toHaveLength(suite.length);
      expect(complaints(results, { mode, store: name })).toEqual([]);
    },
    PATIENCE_MS,
  );
});
