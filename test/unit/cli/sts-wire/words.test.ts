import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLegacyWords } from '../../../../src/cli/sts-wire/legacy-words.ts';
import { translateMountFlags } from '../../../../src/cli/sts-wire/mount-flags.ts';
import { translate } from '../../../../src/cli/sts-wire/translation.ts';
import { readLegacyEnvironment, readLegacyFile } from '../../../../src/config/sts-wire-file.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';

const five = ['https://iam.test/', 'me', 'https://s3.test', '/bucket/sub', './mnt'];
const seven = [
  'https://iam.test/',
  'me',
  'https://rgw.test/',
  'IAMaccess',
  'object',
  '/me',
  '/s3/me',
];

function mountOf(words: readonly string[], environment: Record<string, string> = {}) {
  const request = readLegacyWords(words);
  if (request.command !== 'mount') throw new Error('no mount');
  return translate(request.settings, environment);
}

describe('the words of sts-wire', () => {
  it('are five arguments, or seven with role and audience', () => {
    expect(mountOf(five).mount).toEqual([
      ...['mount', 's3://bucket/sub', './mnt', '--mkdir'],
      ...['--endpoint', 'https://s3.test', '--issuer', 'https://iam.test/'],
    ]);
    expect(mountOf(seven)).toMatchObject({
      issuer: 'https://iam.test/',
      login: ['login', 'https://iam.test/', '--audience', 'object'],
      hasTokens: false,
    });
    expect(mountOf(seven).mount.join(' ')).toContain('--role IAMaccess --audience object');
  });

  it('may have their flags in any place', () => {
    const flags = [
      ['--noPassword'],
      ['--localCache', 'full'],
      ['--readOnly=true'],
      ['--tryRemount'],
    ];
    const places = fc.array(fc.nat(7), { minLength: 4, maxLength: 4 });
    const inOrder = mountOf([...five, ...flags.flat()]);
    fc.assert(
      fc.property(places, (at) => {
        const words: string[][] = five.map((word) => [word]);
        for (const [nth, flag] of flags.entries()) words.splice(at[nth] ?? 0, 0, flag);
        expect(mountOf(words.flat()).mount).toEqual(inOrder.mount);
      }),
    );
  });

  it('are one line of refusal when they are too many, too few or unknown', () => {
    for (const words of [five.slice(1), [...five, 'more'], ['--what', ...five], ['--log']]) {
      expect(() => readLegacyWords(words)).toThrow(WireError);
    }
    expect(() => mountOf([])).toThrow('not said: the identity provider (IAM_Server)');
  });

  it('name every bucket by / alone', () => {
    expect(mountOf([...five.slice(0, 3), '/', 'mnt']).mount[1]).toBe('s3://');
  });

  it('turn caches that write later into caches with a journal', () => {
    const kept = (mode: string): string => mountOf([...five, '--localCache', mode]).mount.join(' ');
    expect(kept('writes')).toContain('--cache writes --write-back=on');
    expect(kept('full')).toContain('--cache full --write-back=on');
    expect(kept('minimal')).not.toContain('--write-back');
  });

  it('stay read-only whatever the mount flags are', () => {
    const { mount } = mountOf([...five, '--readOnly', '--rcloneMountFlags', '--attr-timeout 2s']);
    expect(mount).toContain('--read-only');
  });

  it('say which hosts are not to be checked, both of them', () => {
    const { mount, login } = mountOf([...five, '--insecureConn']);
    expect(mount.slice(-3)).toEqual(['--insecure', 'iam.test', 's3.test']);
    expect(login.slice(-3)).toEqual(['--insecure', 'iam.test', 's3.test']);
  });

  it('need no login where the environment has tokens of a hub', () => {
    const { issuer, mount, hasTokens } = mountOf(seven, {
      IAM_SERVER: 'https://other.test',
      REFRESH_TOKEN: 'r',
    });
    expect([issuer, hasTokens]).toEqual(['https://other.test', true]);
    expect(mount.join(' ')).toContain('--token-source hub');
    expect(mount.join(' ')).not.toContain(' r');
  });
});

describe('--rcloneMountFlags', () => {
  it('become words of wire', () => {
    const { words } = translateMountFlags(
      '--allow-other --uid 1000 --umask=022 --dir-cache-time 1m30s --vfs-cache-max-size 10G -o "noatime"',
    );
    expect(words.join(' ')).toBe(
      '--allow-other -o uid=1000 -o umask=022 --list-ttl 90000ms --cache-size 10G -o noatime',
    );
    expect(translateMountFlags('--vfs-cache-max-size 1048576').words).toEqual([
      '--cache-size',
      '1048576K',
    ]);
  });

  it('are named where wire needs no telling', () => {
    const { words, needless } = translateMountFlags('--vfs-read-ahead 8M --no-modtime');
    expect(words).toEqual([]);
    expect(needless).toEqual(['--vfs-read-ahead', '--no-modtime']);
  });

  it('are refused by their name where wire has nothing for them', () => {
    expect(() => translateMountFlags('--allow-non-empty')).toThrow('--allow-non-empty');
    expect(() => translateMountFlags('--uid')).toThrow('its value is missing');
    expect(() => translateMountFlags('--dir-cache-time soon')).toThrow('it is no duration');
  });

  it('are words or a refusal, whatever is given', () => {
    fc.assert(
      fc.property(fc.string({ size: 'max', maxLength: 200 }), (text) => {
        try {
          expect(Array.isArray(translateMountFlags(text).words)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });
});

describe('the file of sts-wire', () => {
  // The sample of its README, with values that it refused or misread.
  const sample = `IAM_Server: https://my.iam.server
instance_name: test_instance
s3_endpoint: https://my.s3.server
rclone_remote_path: /
local_mount_point: ./my_local_mount_point
IAMAuthURL: http://localhost
IAMAuthURLPort: 3128
log: "/tmp/sts-wire.log"
noPassword: false
refreshTokenRenew: 10
insecureConn: false
localCache: full
`;

  it('works as it is', () => {
    const { mount, needless } = translate(readLegacyFile(sample, 'c.yml'), {});
    expect(mount.join(' ')).toBe(
      'mount s3:// ./my_local_mount_point --mkdir --endpoint https://my.s3.server ' +
        '--issuer https://my.iam.server --cache full --write-back=on --log-file /tmp/sts-wire.log',
    );
    expect(needless).toEqual(['IAMAuthURL', 'IAMAuthURLPort', 'noPassword', 'refreshTokenRenew']);
  });

  it('may be JSON', () => {
    const json = '{"IAM_Server": "https://iam.test", "tryRemount": true, "readOnly": true}';
    expect(readLegacyFile(json, 'config.json')).toMatchObject({
      issuer: 'https://iam.test',
      readOnly: true,
    });
  });

  it('tells all its faults at once, each with its line', () => {
    const bad = 'IAM_Server: [a]\nwhat: 1\nreadOnly: perhaps\n';
    expect(() => readLegacyFile(bad, 'c.yml')).toThrow(
      'line 1: IAM_Server must be a single value; line 2: what is no key of sts-wire; ' +
        'line 3: readOnly must be true or false',
    );
  });

  it('is outweighed by the environment', () => {
    const environment = { ROLE_NAME: 'r', LOCAL_MOUNT_POINT: '/m', AUDIENCE: '' };
    expect(readLegacyEnvironment(environment)).toEqual({ role: 'r', mountPoint: '/m' });
  });
});
