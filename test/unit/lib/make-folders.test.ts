import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolders } from '../../../src/lib/make-folders.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wire-folders-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('makeFolders', () => {
  it('makes a folder and those above it, for their owner alone, and takes what is there', async () => {
    const path = join(folder, 'a', 'b', 'c');
    await makeFolders(path, 0o700);
    await makeFolders(path, 0o700);
    for (const made of [path, join(folder, 'a')]) {
      expect((await stat(made)).mode & 0o777).toBe(0o700);
    }
  });

  it('takes a link to a folder, as a home on another disk may be', async () => {
    await symlink(folder, join(folder, 'link'));
    await makeFolders(join(folder, 'link', 'a'), 0o700);
    expect((await stat(join(folder, 'a'))).isDirectory()).toBe(true);
  });

  it('is refused where a file is in the way', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(makeFolders(join(folder, 'file'), 0o700)).rejects.toMatchObject({
      code: 'EEXIST',
    });
    await expect(makeFolders(join(folder, 'file', 'a'), 0o700)).rejects.toMatchObject({
      code: 'ENOTDIR',
    });
  });

  it.skipIf(process.platform !== 'linux')(
    'ends where the system says that a folder is not there which is: below /proc',
    async () => {
      await expect(makeFolders('/proc/.local/state/wire', 0o700)).rejects.toMatchObject({
        code: 'ENOENT',
      });
    },
  );

  it('can be called many times at once for the same folder', async () => {
    const path = join(folder, 'x', 'y', 'z');
    await Promise.all(Array.from({ length: 20 }, async () => await makeFolders(path, 0o700)));
    expect((await stat(path)).isDirectory()).toBe(true);
  });
});
