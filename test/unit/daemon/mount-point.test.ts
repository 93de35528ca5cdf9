import { lstat, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareMountPoint, removeMade, removeMadeOf } from '../../../src/daemon/mount-point.ts';

const never = new AbortController().signal;
let folder = '';
let runtimeDir = '';

describe('prepareMountPoint', () => {
  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'wire-point-')));
    runtimeDir = await mkdtemp(join(tmpdir(), 'wire-run-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
    await rm(runtimeDir, { recursive: true });
  });
  const prepare = async (path: string, makeDirectory = false) =>
    await prepareMountPoint({ mountPoint: path, makeDirectory }, runtimeDir, never);

  it('finds a folder, through links above it', async () => {
    await mkdir(join(folder, 'real', 'm'), { recursive: true });
    await symlink(join(folder, 'real'), join(folder, 'link'));
    const { dev } = await lstat(join(folder, 'real'));
    const point = await prepare(join(folder, 'link', 'm'));
    expect(point).toMatchObject({ path: join(folder, 'real', 'm'), deviceBefore: dev, made: [] });
  });

  it('makes a missing folder only when asked to, and removes what it made', async () => {
    const path = join(folder, 'a', 'b', 'c');
    await expect(prepare(path)).rejects.toMatchObject({
      kind: 'mount-point',
      facts: { next: expect.stringContaining('--mkdir') as string },
    });
    await mkdir(join(folder, 'a'));
    const point = await prepare(path, true);
    expect(point.path).toBe(path);
    expect(point.made).toEqual([join(folder, 'a', 'b'), path]);
    await removeMade(point);
    expect(await readdir(folder)).toEqual(['a']);
    expect(await readdir(join(folder, 'a'))).toEqual([]);
  });

  it('makes it through a link above, and removes the same', async () => {
    await mkdir(join(folder, 'real'));
    await symlink(join(folder, 'real'), join(folder, 'link'));
    const point = await prepare(join(folder, 'link', 'x', 'y'), true);
    expect(point.path).toBe(join(folder, 'real', 'x', 'y'));
    await removeMade(point);
    expect(await readdir(join(folder, 'real'))).toEqual([]);
  });

  it('lets whoever takes away the mount of a killed process remove what it made', async () => {
    const path = join(folder, 'a', 'b');
    await prepare(path, true);
    await removeMadeOf(path, runtimeDir);
    expect(await readdir(folder)).toEqual([]);
    expect(await readdir(runtimeDir)).toEqual([]);
  });

  it('believes no record that names other folders', async () => {
    const path = join(folder, 'a');
    await prepare(path, true);
    const [record = ''] = await readdir(runtimeDir);
    await mkdir(join(folder, 'other'));
    await writeFile(join(runtimeDir, record), JSON.stringify([join(folder, 'other'), 7]));
    await removeMadeOf(path, runtimeDir);
    expect(await readdir(folder)).toEqual(['a', 'other']);
  });

  it('ends when nobody can make the folder', async () => {
    await expect(prepare('/proc/none/here', true)).rejects.toMatchObject({ kind: 'mount-point' });
  });

  it('leaves a folder it made when somebody has put something there', async () => {
    const point = await prepare(join(folder, 'a', 'b'), true);
    await writeFile(join(folder, 'a', 'theirs'), '');
    await removeMade(point);
    expect(await readdir(join(folder, 'a'))).toEqual(['theirs']);
  });

  it('never removes a folder that was there before', async () => {
    const path = join(folder, 'm');
    await mkdir(path);
    await removeMade(await prepare(path, true));
    expect(await readdir(folder)).toEqual(['m']);
  });

  it('refuses a link, which could lead elsewhere later', async () => {
    await mkdir(join(folder, 'm'));
    await symlink(join(folder, 'm'), join(folder, 'link'));
    await expect(prepare(join(folder, 'link'))).rejects.toMatchObject({ kind: 'mount-point' });
  });

  it('refuses to make a folder below a file', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(prepare(join(folder, 'file', 'm'), true)).rejects.toMatchObject({
      kind: 'mount-point',
    });
  });
});
