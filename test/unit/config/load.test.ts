import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import { options } from '../../../src/config/options.ts';
import { chooseProfile } from '../../../src/config/profile.ts';
import { WireError } from '../../../src/lib/wire-error.ts';

const never = new AbortController().signal;

const whole = `
profiles:
  work:
    issuer: https://iam.example
    endpoint: https://s3.example
    sts: https://sts.example
    region: 1234
    role: IAMaccess
    audience: object
    scopes: [openid, offline_access]
    client-id: abc
    duration: 1h
    mounts:
      data: { source: s3://data/2024, mountpoint: ~/data, read-only: true }
      all: { source: "s3://" }
  empty:
`;

function faultsOf(text: string): readonly string[] {
  try {
    parseConfig(text, '/c.yaml', '/home/u');
    return [];
  } catch (error) {
    if (error instanceof WireError && error.kind === 'config')
      return error.facts.answered
        .split('; line ')
        .map((fault, at) => (at === 0 ? fault : `line ${fault}`));
    throw error;
  }
}

describe('parseConfig', () => {
  it('reads profiles with their settings and mounts', () => {
    const { profiles } = parseConfig(whole, '/c.yaml', '/home/u');
    expect([...profiles.keys()]).toEqual(['work', 'empty']);
    const work = profiles.get('work');
    expect(work?.settings).toEqual({
      issuer: 'https://iam.example',
      endpoint: 'https://s3.example',
      stsEndpoint: 'https://sts.example',
      region: '1234',
      role: 'IAMaccess',
      audience: 'object',
      scopes: ['openid', 'offline_access'],
      clientId: 'abc',
      durationSeconds: 3600,
    });
    expect([...(work?.mounts.values() ?? [])]).toEqual([
      {
        name: 'data',
        source: { kind: 'bucket', bucket: 'data', prefix: '2024/' },
        mountPoint: '/home/u/data',
        readOnly: true,
      },
      { name: 'all', source: { kind: 'buckets' }, readOnly: false },
    ]);
    const nothing = { settings: {}, lines: new Map(), mounts: new Map() };
    expect(profiles.get('empty')).toEqual({ name: 'empty', ...nothing });
  });

  it('knows the line of each setting', () => {
    const work = parseConfig(whole, '/c.yaml', '/home/u').profiles.get('work');
    const lines = whole.split('\n');
    expect(work?.lines.size).toBe(9);
    for (const [name, line] of work?.lines ?? []) {
      expect(lines[line - 1]?.trim()).toMatch(new RegExp(`^${options[name].key ?? ''}:`));
    }
  });

  it('asks whether a key was meant that is nearly the same', () => {
    const [first = ''] = faultsOf('profiles:\n  work:\n    endpiont: https://s3.example');
    expect(first).toBe('line 3: profiles.work.endpiont is not known here: is endpoint meant?');
    const [other = ''] = faultsOf('profiles:\n  work:\n    colour: red');
    expect(other).toMatch(/^line 3: profiles.work.colour is not known here: known are issuer, /);
  });

  it.each(['', '# nothing', 'profiles:', 'profiles: {}'])(
    '%j is an empty configuration',
    (text) => {
      expect(parseConfig(text, '/c.yaml', undefined).profiles.size).toBe(0);
    },
  );

  it('reports all faults at once, each with line and key', () => {
    const faults = faultsOf(`
profile: x
profiles:
  work:
    issuer: iam.example
    endpoint: http://s3.example
    colour: red
    scopes: { a: b }
    mounts:
      data:
        source: data
        mountpoint: data
        read-only: maybe
      nothing: {}
  bad name: {}
  list: [1]
`);
    expect(faults.map((fault) => fault.split(' ').slice(0, 3).join(' '))).toEqual([
      'line 2: profile',
      'line 5: profiles.work.issuer',
      'line 6: profiles.work.endpoint',
      'line 7: profiles.work.colour',
      'line 8: profiles.work.scopes',
      'line 11: profiles.work.mounts.data.source',
      'line 12: profiles.work.mounts.data.mountpoint',
      'line 13: profiles.work.mounts.data.read-only',
      'line 14: profiles.work.mounts.nothing',
      'line 15: profiles.bad',
      'line 16: profiles.list',
    ]);
  });

  it.each([
    ['profiles: [', 'line 1'],
    ['profiles:\n  a: 1\n  a: 2', 'line 3'],
    ['- x', 'line 1'],
    ['profiles: &a\n  x: *a', 'line'],
    ['profiles:\n  x:\n    mounts: { m: }', 'line 3: profiles.x.mounts.m has no source'],
  ])('tells where %j is wrong', (text, where) => {
    expect(faultsOf(text)[0]).toContain(where);
  });

  it('never throws anything but a config error, whatever the file holds', () => {
    const piece = fc.constantFrom(
      'profiles',
      ':',
      ' ',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      ']',
      '&a',
      '*a',
      'x',
      '- ',
      '"',
      'mounts',
      '!!',
      '? ',
      '|',
      'source: s3://b',
      '\t',
      '\u0000',
      '#',
    );
    fc.assert(
      fc.property(fc.array(piece, { size: 'max', maxLength: 60 }), (pieces) => {
        expect(Array.isArray(faultsOf(pieces.join('')))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('loadConfig', () => {
  it('an absent file is an empty configuration, unless it was named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wire-config-'));
    const path = join(folder, 'config.yaml');
    try {
      expect((await loadConfig(path, false, undefined, never)).profiles.size).toBe(0);
      await expect(loadConfig(path, true, undefined, never)).rejects.toMatchObject({
        kind: 'config',
      });
      await writeFile(path, 'profiles: { a: {} }');
      expect((await loadConfig(path, true, undefined, never)).profiles.size).toBe(1);
      await expect(loadConfig(folder, false, undefined, never)).rejects.toMatchObject({
        kind: 'config',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('chooseProfile', () => {
  const config = (...names: string[]) =>
    parseConfig(
      `profiles: { ${names.map((name) => `${name}: {}`).join(', ')} }`,
      '/c.yaml',
      undefined,
    );

  it.each([
    [['a', 'b'], 'b', 'b'],
    [['a', 'default'], undefined, 'default'],
    [['a'], undefined, 'a'],
    [['a', 'b'], undefined, ''],
    [[], undefined, ''],
    [['a'], '', 'a'],
  ])('of %j, asked for %j: %j', (names, wanted, chosen) => {
    expect(chooseProfile(config(...names), wanted).name).toBe(chosen);
  });

  it('names the profiles there are when the one wanted is not', () => {
    expect(() => chooseProfile(config('a', 'b'), 'c')).toThrow(/has only a, b/);
    expect(() => chooseProfile(config(), 'c')).toThrow(/no profiles/);
  });
});
