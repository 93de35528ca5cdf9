/** What is decided about this machine, from facts that are made up. */
import { describe, expect, it } from 'vitest';
import { type DiskFacts, diskFindings } from '../../../../src/daemon/doctor/disk-findings.ts';
import {
  exitCodeFor,
  type Finding,
  findingsOf,
  tallyOf,
} from '../../../../src/daemon/doctor/finding.ts';
import { type FuseFacts, fuseFindings } from '../../../../src/daemon/doctor/fuse-findings.ts';
import {
  type IndexerFacts,
  indexerFindings,
} from '../../../../src/daemon/doctor/indexer-findings.ts';
import { loginFindings, type VaultFacts } from '../../../../src/daemon/doctor/login-findings.ts';
import { mountFindings } from '../../../../src/daemon/doctor/mount-findings.ts';
import { mountOf, parseMounts } from '../../../../src/daemon/doctor/mount-table.ts';
import { spanOf } from '../../../../src/daemon/doctor/spans.ts';
import { configFindings, programFindings } from '../../../../src/daemon/doctor/wire-findings.ts';
import type { LiveMountStatus } from '../../../../src/daemon/status.ts';
import { GiB } from '../../../../src/lib/bytes.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';

/** Level and text of each, and what to do. */
function told(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ level, seen, fix = '' }) => `${level}: ${seen} -> ${fix}`);
}

function worst(findings: readonly Finding[]): string {
  return (
    ['failure', 'warning', 'note'].find((level) => findings.some((each) => each.level === level)) ??
    'ok'
  );
}

const refusal = new WireError('config', { tried: 'open it', answered: 'EACCES', next: 'chmod it' });

describe('the exit code of wire doctor', () => {
  const { ok, note, warning, failure, refused } = findingsOf('fuse');

  it.each([
    [[], 0],
    [[ok('a'), note('b')], 0],
    [[ok('a'), warning('b', 'c'), note('d')], 22],
    [[warning('a', 'b'), failure('no-fuse', 'c', 'd'), failure('config', 'e', 'f')], 11],
    [[refused(refusal)], 6],
  ])('is that of the worst finding, and of the first failure (%#)', (findings, code) =>
    expect(exitCodeFor(findings)).toBe(code),
  );

  it('goes with a count of each level', () => {
    expect(tallyOf([ok('a'), ok('b'), warning('c', 'd')])).toEqual({
      ...{ ok: 2, note: 0, warning: 1, failure: 0 },
    });
  });

  it('tells a failure as the error has it, with what to do', () => {
    expect(refused(refusal)).toEqual({
      ...{ check: 'fuse', level: 'failure', kind: 'config' },
      ...{ seen: 'cannot open it: EACCES', fix: 'chmod it' },
    });
    const bare = new WireError('config', { tried: 'x', answered: 'y' });
    expect(refused(bare).fix).toMatch(/wire logs/);
    expect(refused(bare, 'do this').fix).toBe('do this');
  });
});

describe('FUSE', () => {
  const root: FuseFacts = {
    ...{ platform: 'linux', euid: 0, device: { isFuse: true, mode: 0o666 } },
    helper: { path: '/usr/bin/fusermount3', uid: 0, mode: 0o4755, onNosuid: false },
    ...{ noNewPrivs: false, maySysAdmin: true, inFirstUserNamespace: true },
    ...{ userNamespaces: 1000, userAllowOther: true },
  };
  const user: FuseFacts = { ...root, euid: 1000, maySysAdmin: false };

  it.each([
    ['root', root, /root mounts itself/],
    ['a user with the helper', user, /through \/usr\/bin\/fusermount3/],
    ['root without the helper', { ...root, helper: undefined }, /root mounts itself/],
    ['root with no_new_privs', { ...root, noNewPrivs: true }, /root mounts itself/],
  ] as const)('is fine for %s', (_, facts, seen) => {
    const findings = fuseFindings(facts);
    expect(worst(findings)).toBe('ok');
    expect(told(findings).join()).toMatch(seen);
  });

  it.each([
    ['another system', { ...root, platform: 'darwin' }, /Linux/, /credentials/],
    ['no device', { ...root, device: undefined }, /no \/dev\/fuse/, /modprobe fuse.*--device/],
    ['a file in its place', { ...root, device: { isFuse: false, mode: 0o644 } }, /10:229/, /mknod/],
    [
      'a device for root alone',
      { ...user, device: { isFuse: true, mode: 0o600, openTrouble: 'EACCES' } },
      /mode 0600.*EACCES/,
      /chmod 666/,
    ],
    [
      'a device that the container may not use',
      { ...root, device: { isFuse: true, mode: 0o666, openTrouble: 'EPERM' } },
      /EPERM/,
      /--device \/dev\/fuse/,
    ],
    ['root of a container', { ...root, maySysAdmin: false }, /CAP_SYS_ADMIN/, /--cap-add/],
    ['no helper', { ...user, helper: undefined }, /no fusermount3/, /apt-get install fuse3/],
    [
      'a helper without its bit',
      { ...user, helper: { path: '/f', uid: 0, mode: 0o755, onNosuid: false } },
      /\/f is not set-user-id root \(owner 0, mode 0755\)/,
      /chmod 4755 \/f/,
    ],
    [
      'a helper of somebody else',
      { ...user, helper: { path: '/f', uid: 7, mode: 0o4755, onNosuid: false } },
      /owner 7/,
      /chown root/,
    ],
    [
      'a helper on nosuid',
      { ...user, helper: { path: '/f', uid: 0, mode: 0o4755, onNosuid: true } },
      /nosuid/,
      /set-user-id works/,
    ],
    ['no_new_privs', { ...user, noNewPrivs: true }, /no_new_privs/, /NoNewPrivileges=/],
    ['no addon', { ...root, addonTrouble: 'GLIBC_2.38' }, /GLIBC_2\.38/, /npm run build/],
  ] as const)('fails with the fix for %s', (_, facts, seen, fix) => {
    const failures = fuseFindings(facts).filter(({ level }) => level === 'failure');
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ kind: 'no-fuse' });
    expect(failures[0]?.seen).toMatch(seen);
    expect(failures[0]?.fix).toMatch(fix);
  });

  it('notes what only some would miss: other users, user namespaces', () => {
    expect(told(fuseFindings({ ...user, userAllowOther: false })).join()).toMatch(
      /note: .*user_allow_other.*echo user_allow_other >> \/etc\/fuse\.conf/,
    );
    expect(worst(fuseFindings({ ...root, userAllowOther: false }))).toBe('ok');
    expect(told(fuseFindings({ ...root, userNamespaces: 0 })).join()).toMatch(/switched off/);
    const inside = fuseFindings({ ...root, inFirstUserNamespace: false, userNamespaces: 0 });
    expect(told(inside).filter((line) => line.startsWith('note'))).toHaveLength(1);
  });
});

describe('the table of mounts', () => {
  const mounts = parseMounts(
    [
      '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard',
      '30 27 0:30 / /home rw,nosuid shared:1 - nfs4 srv:/home rw,vers=4.2',
      '31 30 0:31 / /home/u/my\\040data rw,nosuid,nodev - fuse.wire s3://b rw,user_id=0,allow_other',
      '32 27 0:32 / /tmp rw - tmpfs tmpfs rw',
      '33 32 0:33 / /tmp rw - ext4 /dev/vdb rw',
      'nonsense',
    ].join('\n'),
  );

  it.each([
    ['/etc/fuse.conf', 'ext4', '/'],
    ['/home', 'nfs4', '/home'],
    ['/homes', 'ext4', '/'],
    ['/home/u/x', 'nfs4', '/home'],
    ['/home/u/my data/x', 'fuse.wire', '/home/u/my data'],
    ['/tmp/x', 'ext4', '/tmp'],
  ])('tells what %s lies on, the last of two on one place', (path, type, mountPoint) =>
    expect(mountOf(path, mounts)).toMatchObject({ type, mountPoint }),
  );

  it('has the options of mount and file system', () => {
    expect(mountOf('/home/u/my data', mounts)?.options).toEqual(
      expect.arrayContaining(['nosuid', 'allow_other']),
    );
    expect(mountOf('/x', [])).toBeUndefined();
  });
});

describe('disks', () => {
  const fine: DiskFacts = {
    cache: { path: '/c', type: 'ext4', freeBytes: 50 * GiB, totalBytes: 100 * GiB },
    ...{ cacheMode: 'full', quotaBytes: 10 * GiB },
    state: { path: '/s', type: 'xfs', freeBytes: 50 * GiB, totalBytes: 100 * GiB },
  };

  it('are fine when they are local and have room', () => {
    expect(told(diskFindings(fine))).toEqual([
      'ok: /s: xfs, 50.0 GiB free -> ',
      'ok: /c: ext4, 50.0 GiB free, quota 10.0 GiB (--cache full) -> ',
    ]);
  });

  it.each([
    [
      'a state folder in memory',
      { state: { path: '/s', type: 'tmpfs' } },
      'warning',
      /reboot/,
      /WIRE_STATE_DIR/,
    ],
    [
      'a state folder on NFS',
      { state: { path: '/s', type: 'nfs4' } },
      'warning',
      /network \(nfs4\)/,
      /local disk/,
    ],
    [
      'a state folder of a container',
      { state: { path: '/s', type: 'overlay' } },
      'note',
      /container/,
      /WIRE_STATE_DIR/,
    ],
    [
      'a full state disk',
      { state: { path: '/s', type: 'ext4', freeBytes: 5e8 } },
      'warning',
      /476\.8 MiB free/,
      /free some/,
    ],
    [
      'a state folder of somebody else',
      { state: { path: '/s', type: 'ext4', trouble: 'EACCES' } },
      'failure',
      /cannot be written: EACCES/,
      /WIRE_STATE_DIR/,
    ],
    [
      'a disk that hangs',
      { state: { path: '/s', type: 'nfs', silent: true } },
      'failure',
      /does not answer/,
      /local disk/,
    ],
    [
      'a state folder in a mount of wire',
      { state: { path: '/s', type: 'fuse.wire' } },
      'failure',
      /mount of wire itself/,
      /WIRE_STATE_DIR/,
    ],
    [
      'a cache in memory',
      { cache: { path: '/c', type: 'tmpfs', freeBytes: 50 * GiB } },
      'warning',
      /in memory/,
      /--cache-dir/,
    ],
    [
      'a cache on a network',
      { cache: { path: '/c', type: 'fuse.sshfs', freeBytes: 50 * GiB } },
      'warning',
      /slower than the store/,
      /--cache-dir/,
    ],
    [
      'a cache with less room than its quota',
      { cache: { path: '/c', type: 'ext4', freeBytes: 5 * GiB } },
      'note',
      /about 4\.0 GiB will be kept/,
      /--cache-size/,
    ],
    [
      'a cache without room',
      { cache: { path: '/c', type: 'ext4', freeBytes: GiB / 2 } },
      'warning',
      /about 0 B will be kept/,
      /--cache-size/,
    ],
    [
      'a cache that cannot be written',
      { cache: { path: '/c', type: 'ext4', trouble: 'EROFS' } },
      'failure',
      /cannot be written: EROFS/,
      /--cache-dir/,
    ],
    ['no cache', { cacheMode: 'off' }, 'note', /--cache off/, /^$/],
  ] as const)('say of %s what to do', (_, change, level, seen, fix) => {
    const findings = diskFindings({ ...fine, ...change });
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ level });
    expect(findings[0]?.seen).toMatch(seen);
    expect(findings[0]?.fix ?? '').toMatch(fix);
  });

  it('do not matter for a cache of names alone as they do for content', () => {
    const minimal = { ...fine, cacheMode: 'minimal' } as const;
    const inMemory = { ...minimal, cache: { path: '/c', type: 'tmpfs', freeBytes: GiB } };
    expect(worst(diskFindings(inMemory))).toBe('note');
    expect(worst(diskFindings({ ...minimal, cache: { path: '/c', freeBytes: 0 } }))).toBe('ok');
  });
});

describe('indexers', () => {
  const conf = (types: string): string => `PRUNE_BIND_MOUNTS="yes"\nPRUNEFS="${types}"\n`;
  const plain: IndexerFacts = {
    ...{ hasUpdatedb: true, updatedbConf: conf('NFS nfs4 fuse.wire') },
    ...{ running: [], mountsAreOpen: true },
  };

  it.each([
    ['updatedb leaves the mounts out', plain],
    ['there is no updatedb', { ...plain, hasUpdatedb: false, updatedbConf: undefined }],
    ['case does not matter', { ...plain, updatedbConf: conf('FUSE.WIRE') }],
  ])('are fine when %s', (_, facts) => expect(worst(indexerFindings(facts))).toBe('ok'));

  it.each([
    ['others may enter', { ...plain, updatedbConf: conf('nfs4 fuse.wired') }, 'warning'],
    [
      'nobody else may enter',
      { ...plain, updatedbConf: conf('nfs4'), mountsAreOpen: false },
      'note',
    ],
    ['it has no list', { ...plain, updatedbConf: '# PRUNEFS="fuse.wire"\n' }, 'warning'],
    [
      'a later line replaces it',
      { ...plain, updatedbConf: conf('fuse.wire') + conf('nfs') },
      'warning',
    ],
    ['it has no file', { ...plain, updatedbConf: undefined }, 'warning'],
  ] as const)('are told with the fix when updatedb would walk mounts and %s', (_, facts, level) => {
    const [finding] = indexerFindings(facts);
    expect(finding).toMatchObject({ level });
    expect(finding?.fix).toMatch(/^as root: .*fuse\.wire.*\/etc\/updatedb\.conf$/);
  });

  it('of a desktop are named once each, with their own way to leave a folder out', () => {
    const running = ['tracker-miner-f', 'tracker-miner-f', 'baloo_file'];
    const lines = told(indexerFindings({ ...plain, running }));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^note: tracker-miner-f runs.*\.nomedia/);
    expect(lines[1]).toMatch(/^note: baloo_file runs.*balooctl/);
  });
});

describe('logins', () => {
  const now = Date.UTC(2026, 0, 10);
  const login = { issuer: 'https://iam.test', who: 'alice', groups: [] };
  const facts = (change: Partial<VaultFacts>): VaultFacts => {
    return { file: '/s/logins.sealed', key: 'keychain', logins: [login], places: [], ...change };
  };

  it.each([
    ['keychain', 'ok', /its key in the keychain/],
    ['key-file', 'ok', /WIRE_KEY_FILE/],
    ['passphrase', 'ok', /WIRE_KEY_FILE/],
    ['systemd-creds', 'ok', /systemd-creds/],
    ['kernel-keyring', 'note', /reboot/],
    ['local-file', 'warning', /plain file/],
  ] as const)('whose key is in %s are told so', (key, level, seen) => {
    const findings = loginFindings(facts({ key }), now);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ level });
    expect(findings[0]?.seen).toMatch(/^1 login in /);
    expect(findings[0]?.seen).toMatch(seen);
  });

  it('that end soon, or have ended, are told with the command', () => {
    const soon = { ...login, untilMs: now + 2 * 86_400_000, endsSoon: true as const };
    expect(told(loginFindings(facts({ logins: [soon] }), now))[1]).toBe(
      'warning: the login of alice at https://iam.test ends in 2 days -> run: wire login https://iam.test',
    );
    const over = { ...login, untilMs: now - 3_600_000 };
    const ended = loginFindings(facts({ logins: [over] }), now)[1];
    expect(ended).toMatchObject({ level: 'failure', kind: 'login-expired' });
    expect(ended?.seen).toMatch(/ended 60 min ago/);
    const far = { ...login, untilMs: now + 30 * 86_400_000 };
    expect(loginFindings(facts({ logins: [far] }), now)).toHaveLength(1);
  });

  it('that cannot be read are a failure, and none are a note', () => {
    expect(worst(loginFindings(facts({ trouble: refusal }), now))).toBe('failure');
    expect(told(loginFindings(facts({ logins: [] }), now)).join()).toMatch(/wire login ISSUER/);
  });

  it('that are not there yet: says where their key would go, or that there is no place for it', () => {
    const places = [{ name: 'the keychain', trouble: 'no D-Bus' }, { name: 'systemd-creds' }];
    const bare: VaultFacts = { file: '/s/logins.sealed', logins: [], places };
    expect(told(loginFindings(bare, now)).join()).toMatch(/^note: .*would go to systemd-creds/);
    const [none] = loginFindings({ ...bare, places: places.slice(0, 1) }, now);
    expect(none).toMatchObject({ level: 'warning' });
    expect(none?.seen).toContain('the keychain: no D-Bus');
    expect(none?.fix).toMatch(/WIRE_KEY_FILE.*--insecure-storage/);
  });
});

describe('mounts', () => {
  const live = {
    mountPoint: '/m',
    state: 'ready',
    source: 's3://b',
    issuer: 'https://iam.test',
    failures: [],
    pid: 1,
  } as unknown as LiveMountStatus; // the rest is not looked at

  it('are fine when they are served, or there are none', () => {
    expect(told(mountFindings({ mounts: [] }))).toEqual(['ok: nothing is mounted -> ']);
    expect(told(mountFindings({ mounts: [live] }))).toEqual(['ok: 1 mount is served -> ']);
  });

  it('that are dead, silent, degraded or could not save are told, and what was left', () => {
    const failure = { name: 'x', message: 'no', atMs: 0 };
    const lines = told(
      mountFindings({
        mounts: [
          { mountPoint: '/dead', state: 'dead' },
          { mountPoint: '/silent', state: 'silent' },
          { ...live, degraded: 'identity', degradedReason: 'no answer', failures: [failure] },
        ],
        left: { files: 2, bytes: 2048 },
      }),
    );
    expect(lines[0]).toMatch(/^warning: \/dead is dead.*wire unmount \/dead/);
    expect(lines[1]).toMatch(/^note: .*\/silent.*wire unmount --force \/silent/);
    expect(lines[2]).toMatch(
      /^warning: \/m cannot renew its credentials: no answer.*wire login https/,
    );
    expect(lines[3]).toMatch(/^warning: \/m could not save a file.*wire status/);
    expect(lines[4]).toMatch(/^warning: .*2 files, 2\.0 KiB.*wire recover/);
  });
});

describe('wire itself', () => {
  const facts = { version: '1.2.3', node: '22.1.0', system: 'Linux 6.1', openFiles: 4096 };

  it.each([
    [facts, 'ok'],
    [{ ...facts, node: '20.19.0', openFiles: undefined }, 'ok'],
    [{ ...facts, node: '20.18.9' }, 'failure'],
    [{ ...facts, node: '18.20.0' }, 'failure'],
    [{ ...facts, openFiles: 256 }, 'warning'],
  ] as const)('is told with what runs it (%#)', (given, level) =>
    expect(worst(programFindings(given))).toBe(level),
  );

  it('tells a configuration that cannot be used, and settings that give something up', () => {
    const config = {
      file: '/c.yaml',
      profile: 'lab',
      endpoint: 'https://s3.test',
      insecureHosts: [],
    };
    expect(told(configFindings(config))).toEqual(['ok: profile lab of /c.yaml -> ']);
    expect(worst(configFindings({ ...config, endpoint: undefined }))).toBe('note');
    expect(worst(configFindings({ ...config, insecureHosts: ['s3.test'] }))).toBe('warning');
    const broken = configFindings({ ...config, endpoint: undefined, trouble: refusal });
    expect(broken).toMatchObject([{ level: 'failure', kind: 'config', fix: 'chmod it' }]);
  });
});

describe('spans of time', () => {
  it.each([
    [12.4, '12 ms'],
    [1000, '1 s'],
    [90_000, '90 s'],
    [-7_200_000, '2 h'],
    [100_000_000, '28 h'],
    [200_000_000, '2 days'],
  ])('of %d ms are %s', (ms, text) => expect(spanOf(ms)).toBe(text));
});
