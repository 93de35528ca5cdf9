import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeLeftovers } from '../../../../src/cli/sts-wire/leftovers.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wire-leftovers-'));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function write(path: string, text = 'x'): Promise<string> {
  await mkdir(join(folder, path, '..'), { recursive: true });
  await writeFile(join(folder, path), text);
  return join(folder, path);
}

it('takes away what sts-wire left, and nothing that is somebody else’s', async () => {
  const theirs = [
    await write('work/.token', 'a token'),
    await write('work/.me/instance.info', '{"Name":"me","LogFile":"","Port":3128}'),
    await write('work/.me/instance.log'),
    await write('work/.me/me.json'),
    await write('home/.cache/sts-wire/rclone'),
    await write('home/.config/log/sts-wire.log'),
  ];
  const ours = [
    await write('work/.me/thesis.tex'),
    await write('work/.git/config'),
    await write('work/.other/instance.info', 'not JSON'),
    await write('home/.config/log/other.log'),
  ];
  const removed = await removeLeftovers(join(folder, 'work'), join(folder, 'home'));
  expect([...removed].sort()).toEqual([...theirs].sort());
  for (const path of theirs) expect(existsSync(path)).toBe(false);
  for (const path of ours) expect(existsSync(path)).toBe(true);
});

it('follows no link', async () => {
  const precious = await write('precious');
  await mkdir(join(folder, 'work'));
  await symlink(precious, join(folder, 'work/.token'));
  expect(await removeLeftovers(join(folder, 'work'), undefined)).toEqual([]);
  expect(existsSync(precious)).toBe(true);
});
