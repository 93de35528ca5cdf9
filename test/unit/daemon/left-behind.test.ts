import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportLeft } from '../../../src/daemon/left-behind.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

describe('what was left behind', () => {
  it('tells while it is copied how much of all is done', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wire-left-behind-'));
    try {
      const kept = join(folder, 'staging', 'place', 'kept');
      await mkdir(kept, { recursive: true });
      await writeFile(join(kept, 'one'), 'abc');
      await writeFile(join(kept, 'two'), 'defgh');
      const paths = {
        ...{ configFile: '/c', configFileNamed: false, home: undefined },
        ...{ stateDir: folder, runtimeDir: '/r', cacheDir: '/k' },
      };
      const told: unknown[] = [];
      const copied = await exportLeft(
        join(folder, 'out'),
        { paths, clock: new FakeClock(), log: silentLog },
        (done) => void told.push(done),
      );
      expect(told).toEqual([
        { files: 1, bytes: copied[0]?.file.bytes, totalBytes: 8 },
        { files: 2, bytes: 8, totalBytes: 8 },
      ]);
      const texts = await Promise.all(copied.map(async ({ path }) => await readFile(path, 'utf8')));
      expect(texts.toSorted()).toEqual(['abc', 'defgh']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
