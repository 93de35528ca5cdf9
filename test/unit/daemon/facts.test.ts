import { mkdtemp, open, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statusLines } from '../../../src/cli/views/status-view.ts';
import { usersOf } from '../../../src/daemon/busy.ts';
import { readRefusal, refusalOf } from '../../../src/daemon/control-protocol.ts';
import { chooseIssuer } from '../../../src/daemon/identity.ts';
import { openLogFile } from '../../../src/daemon/log-file.ts';
import type { MountStatus } from '../../../src/daemon/mount.ts';
import { connectionOf } from '../../../src/daemon/mount-specs.ts';
import { composeStatus, servedMounts } from '../../../src/daemon/status.ts';
import { checkStore } from '../../../src/daemon/store-check.ts';
import { exitCodeOf, WireError, type WireErrorKind } from '../../../src/lib/wire-error.ts';
import type { ObjectStores } from '../../../src/store/object-store.ts';
import { specOf } from './fake-mounts.ts';

const never = new AbortController().signal;

describe('chooseIssuer', () => {
  it.each([
    ['https://a', ['https://a', 'https://b'], 'https://a'],
    ['https://a/', ['https://a'], 'https://a'],
    ['https://a', ['https://a/'], 'https://a/'],
    [undefined, ['https://a'], 'https://a'],
  ])('of %j with logins %j: %s', (wanted, known, chosen) => {
    expect(chooseIssuer(wanted, known)).toBe(chosen);
  });

  it.each([
    [undefined, [], 'login-expired', 'wire login ISSUER'],
    ['https://a', [], 'login-expired', 'wire login https://a'],
    ['https://a', ['https://b'], 'login-expired', 'wire login https://a'],
    [undefined, ['https://a', 'https://b'], 'usage', '--issuer'],
  ])('refuses %j with logins %j', (wanted, known, kind, next) => {
    expect(() => chooseIssuer(wanted, known)).toThrow(
      expect.objectContaining({
        kind,
        facts: expect.objectContaining({ next: expect.stringContaining(next) as string }) as object,
      }) as Error,
    );
  });
});

describe('connectionOf', () => {
  it('asks STS where the objects are unless told otherwise', () => {
    const { stsEndpoint } = connectionOf({ endpoint: 'https://s3' }, 'https://iam');
    expect(stsEndpoint).toBe('https://s3');
    const settings = { endpoint: 'https://s3', stsEndpoint: 'https://sts' };
    expect(connectionOf(settings, 'https://iam').stsEndpoint).toBe('https://sts');
  });

  it('without an endpoint says how to name one', () => {
    expect(() => connectionOf({}, 'https://iam')).toThrow(/endpoint/);
  });
});

describe('checkStore', () => {
  const refusing = (kind: WireErrorKind): ObjectStores => {
    const refuse = async () => {
      await Promise.resolve();
      throw new WireError(kind, { tried: 'x', answered: 'NoSuchThing (4xx)' });
    };
    return { buckets: refuse, open: () => ({ list: refuse }) as never };
  };

  it.each([
    ['not-found', 'check the name of the bucket'],
    ['access-denied', 'ask the owner'],
    ['unreachable', 'check --endpoint'],
    ['login-expired', 'wire login https://iam.example'],
  ] as const)('a store that answers %s is told with what to do', async (kind, next) => {
    await expect(checkStore(specOf('/m'), refusing(kind), never)).rejects.toMatchObject({
      kind,
      facts: {
        tried: 'list s3://b at https://s3.example',
        answered: 'NoSuchThing (4xx)',
        next: expect.stringContaining(next) as string,
      },
    });
  });

  it('asks for the list of buckets when all are to be mounted, for the prefix otherwise', async () => {
    const asked: unknown[] = [];
    const stores = {
      buckets: async () => await Promise.resolve(asked.push('buckets')),
      open: (bucket: string) => ({
        list: async (request: unknown) => await Promise.resolve(asked.push([bucket, request])),
      }),
    } as unknown as ObjectStores;
    const spec = specOf('/m');
    await checkStore({ ...spec, source: { kind: 'buckets' } }, stores, never);
    await checkStore(
      { ...spec, source: { kind: 'bucket', bucket: 'b', prefix: 'p/' } },
      stores,
      never,
    );
    expect(asked).toEqual(['buckets', ['b', { prefix: 'p/', delimiter: '/', maxKeys: 1 }]]);
  });
});

describe('composeStatus', () => {
  it('shows mounts of living processes once, and those without one as dead or silent', () => {
    const mount = { mountPoint: '/b', source: 's3://b', state: 'ready' } as MountStatus;
    const process = { pid: 7, version: '1', startedMs: 0, mounts: [mount] };
    const kernel = [
      { mountPoint: '/b', state: 'alive' as const },
      { mountPoint: '/c', state: 'silent' as const },
      { mountPoint: '/a', state: 'dead' as const },
    ];
    const { mounts } = composeStatus([{ socketPath: '/s', status: process }], kernel, {
      logins: [],
    });
    expect(mounts).toEqual([
      { mountPoint: '/a', state: 'dead' },
      { ...mount, pid: 7 },
      { mountPoint: '/c', state: 'silent' },
    ]);
  });
});

describe('servedMounts', () => {
  it('names the mounts whose credentials outlive a login, and until when', () => {
    const issuer = 'https://iam.example/';
    const mounts = [
      { mountPoint: '/z', issuer, credentialsUntilMs: 2000 },
      { mountPoint: '/a', issuer: 'https://iam.example', credentialsUntilMs: 3000 },
      { mountPoint: '/over', issuer, credentialsUntilMs: 1000 },
      { mountPoint: '/none-yet', issuer, credentialsUntilMs: undefined },
      { mountPoint: '/other', issuer: 'https://other.example', credentialsUntilMs: 9000 },
    ] as unknown as readonly MountStatus[];
    const process = { pid: 7, version: '1', startedMs: 0, mounts };
    expect(servedMounts([{ socketPath: '/s', status: process }], issuer, 1000)).toEqual([
      { mountPoint: '/a', untilMs: 3000 },
      { mountPoint: '/z', untilMs: 2000 },
    ]);
  });
});

describe('logins that cannot be read', () => {
  it('take nothing from the mounts: why is one line, in text and as JSON', () => {
    const mount = { mountPoint: '/b', source: 's3://b', state: 'ready', unsavedFiles: 0 };
    const mounts = [{ ...mount, failures: [] }] as unknown as readonly MountStatus[];
    const process = { pid: 7, version: '1', startedMs: 0, mounts };
    const facts = {
      tried: 'open the vault',
      answered: 'the keychain is\x1b[2J locked',
      next: 'unlock it',
    };
    const trouble = new WireError('config', facts);
    const known = { logins: [], trouble };
    const status = composeStatus([{ socketPath: '/s', status: process }], [], known);
    expect(statusLines(status, 0)).toEqual([
      expect.stringMatching(/^\/b: ready/),
      'Logins cannot be shown: cannot open the vault: the keychain is?[2J locked; unlock it',
    ]);
    expect(status.loginsTrouble).toBe(trouble.toLine());
  });
});

describe('objects in cold storage', () => {
  it('are named where somebody tried to read them, and cannot steer the terminal', () => {
    const reading = { readBytes: 0, archived: ['old/\x1b[2Jraw.dat'] };
    const mount = { mountPoint: '/b', source: 's3://b', state: 'ready', failures: [], reading };
    const mounts = [{ ...mount, unsavedFiles: 0 }] as unknown as readonly MountStatus[];
    const process = { pid: 7, version: '1', startedMs: 0, mounts };
    const status = composeStatus([{ socketPath: '/s', status: process }], [], { logins: [] });
    expect(statusLines(status, 0)[1]).toBe(
      '  in cold storage, to be restored before it can be read: old/?[2Jraw.dat',
    );
  });
});

describe('a mount whose credentials cannot be renewed', () => {
  it('is degraded: identity, with the reason, in text and as JSON', () => {
    const reason = 'cannot renew the login at https://iam.example: 401 invalid_token; log in again';
    const mount = {
      mountPoint: '/b',
      source: 's3://b',
      state: 'ready',
      degraded: reason,
      failures: [] as MountStatus['failures'],
      unsavedFiles: 0,
    } as MountStatus;
    const process = { pid: 7, version: '1', startedMs: 0, mounts: [mount] };
    const status = composeStatus([{ socketPath: '/s', status: process }], [], { logins: [] });
    expect(statusLines(status, 0)[0]).toContain(`degraded: identity (${reason})`);
    expect(JSON.parse(JSON.stringify(status.mounts[0]))).toMatchObject({
      degraded: 'identity',
      degradedReason: reason,
    });
  });
});

describe('readRefusal', () => {
  it('gives back every kind of error as it was', () => {
    for (const kind of Object.keys(exitCodeOf) as WireErrorKind[]) {
      const error = new WireError(kind, { tried: 'a', answered: 'b', next: 'c' });
      const read = readRefusal(JSON.stringify(refusalOf(error)));
      expect([read.kind, read.facts]).toEqual([kind, error.facts]);
    }
  });

  it.each([
    '',
    '{}',
    'null',
    '{"kind":"toString","facts":{"tried":"a","answered":"b"}}',
    '{"facts":null}',
  ])('takes %j for a defect', (text) => expect(readRefusal(text).kind).toBe('internal'));
});

describe('files', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-files-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('the log is for us alone, appended to, and begun anew when it is large', async () => {
    const path = join(folder, 'wire.log');
    const before = process.umask(0);
    for (const line of ['one', 'two']) {
      using write = openLogFile(path);
      write(line);
    }
    process.umask(before);
    expect(await readFile(path, 'utf8')).toBe('one\ntwo\n');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await truncate(path, 20 * 1024 * 1024);
    using write = openLogFile(path);
    write('three');
    expect(await readFile(path, 'utf8')).toBe('three\n');
    expect((await stat(`${path}.1`)).size).toBe(20 * 1024 * 1024);
  });

  it('the log follows no link that somebody put in its place', async () => {
    await writeFile(join(folder, 'theirs'), '');
    await symlink(join(folder, 'theirs'), join(folder, 'wire.log'));
    expect(() => openLogFile(join(folder, 'wire.log'))).toThrow(/ELOOP/);
  });

  it('usersOf names a process with a file open below the folder, and only such', async () => {
    const file = await open(join(folder, 'x'), 'w');
    try {
      expect((await usersOf(folder)).join()).toContain(`(${process.pid})`);
      expect(await usersOf(join(folder, basename(folder)))).toEqual([]);
    } finally {
      await file.close();
    }
  });
});
