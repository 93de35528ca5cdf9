import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensurePrivateDir, locatePaths } from '../../../src/config/paths.ts';

const never = new AbortController().signal;
const facts = { home: '/home/u', uid: 1000, temporaryDir: '/tmp', environment: {} };

describe('locatePaths', () => {
  it.each([
    [
      'nothing set',
      {},
      '/home/u',
      [
        '/home/u/.config/wire/config.yaml',
        '/home/u/.local/state/wire',
        '/tmp/wire-1000-run',
        '/home/u/.cache/wire',
      ],
    ],
    [
      'HOME',
      { HOME: '/h' },
      '/home/u',
      [
        '/h/.config/wire/config.yaml',
        '/h/.local/state/wire',
        '/tmp/wire-1000-run',
        '/h/.cache/wire',
      ],
    ],
    [
      'XDG',
      {
        XDG_CONFIG_HOME: '/c',
        XDG_STATE_HOME: '/s',
        XDG_RUNTIME_DIR: '/run/user/1000',
        XDG_CACHE_HOME: '/k',
      },
      '/home/u',
      ['/c/wire/config.yaml', '/s/wire', '/run/user/1000/wire', '/k/wire'],
    ],
    [
      'relative XDG, which is ignored',
      { XDG_STATE_HOME: 's' },
      '/home/u',
      [
        '/home/u/.config/wire/config.yaml',
        '/home/u/.local/state/wire',
        '/tmp/wire-1000-run',
        '/home/u/.cache/wire',
      ],
    ],
    [
      'WIRE_*',
      { WIRE_CONFIG: '/w.yaml', WIRE_STATE_DIR: '/ws', WIRE_RUNTIME_DIR: '/wr' },
      '/home/u',
      ['/w.yaml', '/ws', '/wr', '/home/u/.cache/wire'],
    ],
    [
      'no home at all',
      {},
      undefined,
      [
        '/tmp/wire-1000-config/config.yaml',
        '/tmp/wire-1000-state',
        '/tmp/wire-1000-run',
        '/tmp/wire-1000-cache',
      ],
    ],
  ])('with %s', (_, environment, home, expected) => {
    const paths = locatePaths({ ...facts, environment, home });
    expect([paths.configFile, paths.stateDir, paths.runtimeDir, paths.cacheDir]).toEqual(expected);
    expect(paths.configFileNamed).toBe('WIRE_CONFIG' in environment);
  });
});

describe('ensurePrivateDir', () => {
  const uid = process.getuid?.() ?? -1;
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-paths-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('makes the folder and its parents, for us alone', async () => {
    const path = join(folder, 'a', 'b');
    await ensurePrivateDir(path, uid, never);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    await ensurePrivateDir(path, uid, never);
  });

  it('refuses a folder that others can enter, and says how to close it', async () => {
    const path = join(folder, 'open');
    await mkdir(path);
    await chmod(path, 0o750);
    await expect(ensurePrivateDir(path, uid, never)).rejects.toMatchObject({
      kind: 'config',
      facts: { next: expect.stringContaining(`chmod 700 ${path}`) as string },
    });
  });

  it('refuses a link, a file, and a folder of somebody else', async () => {
    const link = join(folder, 'link');
    await symlink(folder, link);
    const file = join(folder, 'file');
    await writeFile(file, '');
    await expect(ensurePrivateDir(link, uid, never)).rejects.toMatchObject({ kind: 'config' });
    await expect(ensurePrivateDir(file, uid, never)).rejects.toMatchObject({ kind: 'config' });
    await expect(ensurePrivateDir(folder, uid + 1, never)).rejects.toMatchObject({
      kind: 'config',
    });
  });
});
