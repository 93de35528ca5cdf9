import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { resolveSettings } from '../../../src/config/settings.ts';
import { forgetMount, noteMount, readNotes } from '../../../src/daemon/mount-notes.ts';
import {
  formatMountsAsked,
  type MountsAsked,
  readMountsAsked,
} from '../../../src/daemon/mounts-asked.ts';
import type { MountsRequest } from '../../../src/daemon/mounts-request.ts';

const request: MountsRequest = {
  mounts: [
    { source: { kind: 'bucket', bucket: 'b', prefix: 'p/' }, mountPoint: '/m ä', readOnly: true },
  ],
  settings: resolveSettings({ endpoint: 'https://s3.example', listTtlMs: '5s' }, {}, {}),
  allowOther: false,
  makeDirectory: true,
  options: { uid: 7, fsName: 'x' },
  origin: { flags: { endpoint: 'https://s3.example' }, profile: 'work' },
};

const asked: MountsAsked = {
  request,
  caller: {
    environment: { BEARER_TOKEN: 'the-token', PWD: '/somewhere' },
    paths: {
      configFile: '/c',
      configFileNamed: false,
      stateDir: '/s',
      runtimeDir: '/r',
      cacheDir: '/k',
      home: '/home/u',
    },
  },
  replace: true,
};

it('a request for mounts arrives as it was sent, with what of the environment matters', () => {
  const environment = { BEARER_TOKEN: 'the-token' };
  const arrived = readMountsAsked(formatMountsAsked(asked));
  expect(arrived).toEqual({ ...asked, caller: { ...asked.caller, environment } });
});

it.each([
  ['no JSON', 'x', 'usage'],
  ['another form', { protocol: 2 }, 'unsupported'],
  ['no mounts', { mounts: [] }, 'usage'],
  [
    'a relative folder',
    { mounts: [{ source: 's3://b', mountPoint: 'm', readOnly: true }] },
    'usage',
  ],
  ['no source', { mounts: [{ source: 'b', mountPoint: '/m', readOnly: true }] }, 'usage'],
  ['a setting of another version', { settings: { warp: 'on' } }, 'unsupported'],
  ['a setting that cannot be', { settings: { listTtlMs: 'soon' } }, 'usage'],
  ['a look of another version', { options: { colour: 1 } }, 'unsupported'],
  ['folders that are none', { paths: { stateDir: 's' } }, 'usage'],
  ['no environment', { environment: [] }, 'usage'],
])('refuses %s', (_, change, kind) => {
  const fields = JSON.parse(formatMountsAsked(asked)) as object;
  const text = typeof change === 'string' ? change : JSON.stringify({ ...fields, ...change });
  expect(() => readMountsAsked(text)).toThrow(expect.objectContaining({ kind }));
});

it('a note of a mount is for its owner alone, without a secret, until it is forgotten', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'wire-notes-'));
  try {
    expect(await readNotes(stateDir)).toEqual([]);
    const note = { mountPoint: '/m ä', request };
    await noteMount(stateDir, note);
    await noteMount(stateDir, note);
    expect(await readNotes(stateDir)).toEqual([note]);
    const { readdir } = await import('node:fs/promises');
    const [name = '', ...others] = await readdir(join(stateDir, 'mounts'));
    expect(others).toEqual([]);
    const path = join(stateDir, 'mounts', name);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, 'utf8')).not.toContain('the-token');
    await forgetMount(stateDir, '/m ä');
    expect(await readNotes(stateDir)).toEqual([]);
  } finally {
    await rm(stateDir, { recursive: true });
  }
});
