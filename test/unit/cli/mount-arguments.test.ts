import { describe, expect, it } from 'vitest';
import { type MountDefaults, readMountArguments } from '../../../src/cli/mount-arguments.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { WireError } from '../../../src/lib/wire-error.ts';

const text = `profiles:
  lab:
    mounts:
      data: { source: s3://data, mountpoint: ~/data }
      loose: { source: s3://loose }
`;
const lab = parseConfig(text, '/c.yaml', '/home/u').profiles.get('lab');
if (lab === undefined) throw new Error('no profile');

const defaults: MountDefaults = {
  profile: lab,
  profileNamed: false,
  readOnly: false,
  workingDirectory: '/cwd',
};

const read = (words: string, more: Partial<MountDefaults> = {}) => {
  const { mounts, endpoint } = readMountArguments(words.split(' '), { ...defaults, ...more });
  const places = mounts.map(({ source, mountPoint }) => [
    source.kind === 'bucket' ? `${source.bucket}/${source.prefix}` : source.kind,
    mountPoint,
  ]);
  return { places, endpoint };
};

function refused(words: string, more: Partial<MountDefaults> = {}): string {
  try {
    read(words, more);
  } catch (error) {
    if (error instanceof WireError && error.kind === 'usage') return error.toLine();
    throw error;
  }
  throw new Error('was not refused');
}

describe('an address as SOURCE', () => {
  it('says bucket and endpoint, against variables and profile', () => {
    expect(read('https://s3.a.test/b/c m', { endpoint: 'https://other.test' })).toEqual({
      places: [['b/c/', '/cwd/m']],
      endpoint: 'https://s3.a.test',
    });
  });

  it('may be said again, in another way and for other buckets', () => {
    const more = { endpoint: 'https://s3.a.test/', endpointFlag: 'https://s3.a.test/' };
    const { places, endpoint } = read(
      'https://s3.a.test:443/b m https://S3.a.test/c n s3://d o data',
      more,
    );
    expect(endpoint).toBe('https://s3.a.test');
    expect(places).toEqual([
      ['b/', '/cwd/m'],
      ['c/', '/cwd/n'],
      ['d/', '/cwd/o'],
      ['data/', '/home/u/data'],
    ]);
  });

  it('is where a bucket is that names no store, unless something says otherwise', () => {
    expect(read('s3://d o https://s3.a.test/b m').endpoint).toBe('https://s3.a.test');
  });

  it('is none without one: what is set elsewhere holds', () => {
    expect(read('s3://d o', { endpoint: 'https://x.test' }).endpoint).toBeUndefined();
  });

  it.each([
    ['https://s3.a.test/b m', { endpointFlag: 'https://x.test' }, '--endpoint says another store'],
    ['https://s3.a.test/b m https://s3.b.test/c n', {}, 'two stores: https://s3.a.test and https'],
    ['https://s3.a.test/b m s3://c n', { endpoint: 'https://x.test' }, 'two stores'],
    ['data https://s3.a.test/b m', { endpoint: 'https://x.test' }, 'two stores'],
    ['https://s3.a.test/b', {}, 'no MOUNTPOINT follows'],
    ['https://s3.a.test/b https://s3.a.test/c', {}, 'no MOUNTPOINT follows'],
    ['loose https://s3.a.test/c', {}, 'no MOUNTPOINT follows'],
    ['https://s3.a.test m', {}, 'names no bucket'],
    ['http://s3.a.test/b m', {}, 'in clear'],
    ['https://s3.a.test/b m s3://c m', {}, 'named twice'],
  ])('%s with %j is refused: %s', (words, more, why) => {
    expect(refused(words, more)).toContain(why);
  });
});
