import { describe, expect, it } from 'vitest';
import { readOptionWords, settingNames } from '../../../../src/cli/mount-wire/option-words.ts';
import { translateCall } from '../../../../src/cli/mount-wire/translation.ts';
import { options } from '../../../../src/config/options.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';
import { FakeCli } from '../fake-cli.ts';

function refusalOf(word: string): string {
  try {
    readOptionWords([word], false);
  } catch (error) {
    if (error instanceof WireError) return error.toLine();
    throw error;
  }
  return 'not refused';
}

describe('-o of mount -t wire', () => {
  it('sets what flags of wire mount set, written with dashes or underscores', () => {
    const list = ['profile=lab', 'endpoint=https://s3', 'cache_size=1G', 'list-ttl=5s', 'posix'];
    expect(readOptionWords(list, false)).toEqual({
      flags: [
        ...['--profile=lab', '--endpoint=https://s3', '--cache-size=1G', '--list-ttl=5s'],
        '--posix=on',
      ],
      mountOptions: [],
      variables: {},
    });
  });

  it('knows every setting of wire mount, and wire mount knows every flag that comes of it', async () => {
    const cli = new FakeCli();
    const help = (await cli.run('mount', '--help')).stdout;
    for (const name of settingNames) {
      const flag = options[name].flag.split(' ')[0] ?? '';
      const { flags } = readOptionWords([`${flag.slice(2)}=x`], false);
      expect(flags).toEqual([`${flag}=x`]);
      expect(help).toContain(`  ${flag} `);
    }
    const told = help
      .split(/^ {2}(?=-)/m)
      .filter((part) => part.includes('[WIRE_'))
      .map((part) => part.split(' ')[0] ?? '');
    expect(told.length).toBeGreaterThan(30);
    const known = settingNames.map((name) => options[name].flag.split(' ')[0] ?? '');
    expect(told.filter((flag) => ![...known, '--profile'].includes(flag))).toEqual([]);
  });

  it('keeps the words of mounts, and leaves to mount(8) what is its own', () => {
    const own = ['ro', 'allow_other', 'uid=1000', 'gid=7', 'umask=077', 'noatime', 'noexec'];
    const others = ['defaults', '_netdev', 'noauto', 'user', 'nofail', 'x-systemd.automount'];
    const more = ['nosuid', 'nodev', 'X-mount.mkdir', 'comment=mine', 'users', 'async', ''];
    expect(readOptionWords([...own, ...others, ...more], false)).toEqual({
      flags: [],
      mountOptions: own,
      variables: {},
    });
  });

  it('puts the files of a login into variables, and tells whose login it is', () => {
    const list = ['config=/etc/wire.yaml', 'key_file=/k', 'state-dir=/s', 'setuid=alice'];
    expect(readOptionWords(list, false)).toEqual({
      flags: [],
      mountOptions: [],
      variables: { WIRE_CONFIG: '/etc/wire.yaml', WIRE_KEY_FILE: '/k', WIRE_STATE_DIR: '/s' },
      user: 'alice',
    });
  });

  it.each([
    'token',
    'access_token',
    'refresh-token',
    'client_secret',
    'password',
    'passwd',
    'secret_access_key',
    'access_key_id',
    'credentials',
    'session_key',
  ])('refuses %s, naming the options that name files, and does not repeat the value', (name) => {
    const line = refusalOf(`${name}=hunter2`);
    expect(line).toContain(`-o ${name}:`);
    expect(line).toMatch(/token_file=FILE.*key_file=FILE/);
    expect(line).not.toContain('hunter2');
  });

  it('takes files with secrets in them for what they are', () => {
    const { flags } = readOptionWords(['token_file=/t', 'mytoken-file=/m', 'sse_kms_key=k'], false);
    expect(flags).toEqual(['--token-file=/t', '--mytoken-file=/m', '--sse-kms-key=k']);
  });

  it('refuses what it does not know by its name alone, and says what is near', () => {
    expect(refusalOf('endpiont=https://alice:hunter2@s3')).toMatch(
      /-o endpiont: .*; is it endpoint\?/,
    );
    expect(refusalOf('endpiont=https://alice:hunter2@s3')).not.toContain('hunter2');
    expect(refusalOf('bs=4096')).toMatch(/-o bs: wire has no such option; see: man mount.wire/);
    expect(refusalOf('constructor')).toContain('no such option');
    expect(refusalOf('__proto__=1')).toContain('no such option');
    expect(refusalOf('profile')).toContain('its value is missing');
    expect(refusalOf('key_file=')).toContain('its value is missing');
  });

  it.each(['remount', 'suid', 'dev', 'sync'])('refuses %s, saying why it cannot be', (word) => {
    expect(refusalOf(word)).toMatch(/^cannot mount with -o \w+: .*; /);
  });

  it('leaves out what nobody knows when mount(8) is told to be sloppy, but no secret', () => {
    expect(readOptionWords(['bs=4096', 'ro'], true).mountOptions).toEqual(['ro']);
    expect(() => readOptionWords(['password=x'], true)).toThrow('does not belong here');
  });
});

describe('a call of mount(8)', () => {
  it('is a wire mount under the name that fstab has', () => {
    const list = 'rw,profile=lab,insecure=a,insecure=b,uid=5,_netdev';
    expect(translateCall(['s3://data', 'mnt', '-o', list], '/')).toEqual({
      words: [
        ...['mount', 's3://data', '/mnt'],
        ...['--profile=lab', '--insecure=a', '--insecure=b'],
        '--option=rw,uid=5,fsname=s3://data',
      ],
      variables: {},
      fake: false,
      verbose: false,
    });
  });

  it('is understood by wire mount as it was meant', async () => {
    const cli = new FakeCli();
    const list = 'ro,endpoint=https://s3.example,insecure=a.example,insecure=b.example,write_back';
    const { words } = translateCall(['s3://data', 'mnt', '-o', list], '/');
    expect(await cli.run(...words)).toMatchObject({ code: 0 });
    expect(cli.mounts).toMatchObject([
      {
        mounts: [{ mountPoint: '/mnt', readOnly: true }],
        settings: {
          endpoint: 'https://s3.example',
          insecureHosts: ['a.example', 'b.example'],
          writeBack: 'on',
        },
        options: { fsName: 's3://data' },
      },
    ]);
  });

  it('keeps the name that the options give, and gives none that a table could not show', () => {
    const words = translateCall(['s3://data', '/mnt', '-o', 'fsname=mine'], '/').words;
    expect(words.at(-1)).toBe('--option=fsname=mine');
    expect(translateCall(['s3://a b', '/mnt'], '/').words).toEqual(['mount', 's3://a b', '/mnt']);
  });
});
