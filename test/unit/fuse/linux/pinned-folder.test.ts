import {
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { examineDirectory } from '../../../../src/fuse/linux/mount-point.ts';
import { pinFolder } from '../../../../src/fuse/linux/pinned-folder.ts';

let folder = '';
let point = '';

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'wire-pinned-')));
  point = join(folder, 'point');
  await mkdir(point);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** Puts a link to another folder where `path` was. */
async function swap(path: string): Promise<void> {
  await mkdir(join(folder, 'elsewhere'));
  await writeFile(join(folder, 'elsewhere', 'precious'), '');
  await rename(path, join(folder, 'moved'));
  await symlink(join(folder, 'elsewhere'), path);
}

describe.runIf(process.platform === 'linux')('a pinned mount point (on Linux)', () => {
  it('stays the folder that was looked at when a link is put in its place', async () => {
    await using pinned = await pinFolder(point);
    await swap(point);
    expect(await readdir(point)).toEqual(['precious']);
    expect(await readdir(pinned.path)).toEqual([]);
    expect(await realpath(pinned.path)).toBe(join(folder, 'moved'));
    await examineDirectory(pinned.path, point);
  });

  it('is not taken where a link is, at its end or above it', async () => {
    await swap(point);
    await expect(pinFolder(point)).rejects.toMatchObject({ kind: 'mount-point' });
    const inner = join(folder, 'above', 'inner');
    await mkdir(inner, { recursive: true });
    await mkdir(join(folder, 'elsewhere', 'inner'));
    await rename(join(folder, 'above'), join(folder, 'away'));
    await symlink(join(folder, 'elsewhere'), join(folder, 'above'));
    await expect(pinFolder(inner)).rejects.toMatchObject({
      kind: 'mount-point',
      facts: { answered: `it leads to ${join(folder, 'elsewhere', 'inner')} now` },
    });
  });

  it('is not taken where there is a file, or nothing', async () => {
    await writeFile(join(folder, 'file'), '');
    for (const name of ['file', 'nothing']) {
      await expect(pinFolder(join(folder, name))).rejects.toMatchObject({ kind: 'mount-point' });
    }
  });
});
