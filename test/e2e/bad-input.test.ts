import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { exitCodeOf, type WireErrorKind } from '../../src/lib/wire-error.ts';
import { canMount, exists, isRoot, Scene } from '../fixtures/real-mount.ts';

/** Nobody listens on this port of loopback, and fetch does not refuse it by itself. */
const NOBODY = 'http://127.0.0.1:4';

/** Every exit code of the command is an answer here. */
const anyExit = Array.from({ length: 255 }, (_, code) => code + 1);

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open({ leaseSeconds: 900 });
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

interface Refusal {
  readonly kind: WireErrorKind;
  /** What the one line must hold: what was tried, what answered, what to do next. */
  readonly says: readonly RegExp[];
}

/** Runs `wire ...args`; it must refuse with one line, the right exit code, and no trace. */
async function refuses(args: readonly string[], { kind, says }: Refusal): Promise<void> {
  const before = await mountsBelow(scene.user.folder);
  const { exitCode, stderr, stdout } = await scene.user.wire(args, scene.signal, {
    allow: anyExit,
  });
  const lines = stderr.trim().split('\n');
  const last = lines.at(-1) ?? '';
  expect({ args, exitCode, last }).toEqual({ args, exitCode: exitCodeOf[kind], last });
  expect(lines).toEqual([expect.stringMatching(/^wire: /)]);
  for (const pattern of says) expect(last).toMatch(pattern);
  expect(`${stderr}${stdout}`).not.toMatch(/^\s+at .*:\d+:\d+/m);
  expect(await mountsBelow(scene.user.folder)).toEqual(before);
}

describe('wire login refuses in one line', () => {
  it('an issuer URL that is no provider', async () => {
    const server = createServer((_, response) => response.writeHead(404).end('<html>no</html>'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const issuer = `http://127.0.0.1:${port}/`;
      await refuses(['login', issuer], {
        kind: 'config',
        says: [/openid-configuration/, /404/, /;/],
      });
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it('an IAM that does not answer', async () => {
    await refuses(['login', `${NOBODY}/`], {
      kind: 'unreachable',
      says: [/127\.0\.0\.1:4/, /refused/i, /;/],
    });
  });

  it('a URL that is none', async () => {
    await refuses(['login', 'not a url'], { kind: 'usage', says: [/not a url/] });
  });

  it('a login that the person denied', async () => {
    const { user, signal, playground } = scene;
    let denying: Promise<void> | undefined;
    const login = ['login', playground.issuer, '--no-browser'];
    const { exitCode, stderr } = await user.wire(login, signal, {
      allow: anyExit,
      onStderr: (line) => {
        const url = /https?:\/\/\S+user_code=\S+/.exec(line);
        if (url !== null) denying ??= playground.iam.deny(url[0], 'alice', signal);
      },
    });
    await denying;
    expect(exitCode).toBe(exitCodeOf['login-denied']);
    expect(stderr.trim().split('\n').at(-1)).toMatch(/^wire: .*denied.*;/i);
  });

  it('a code that nobody approved in time', async () => {
    await using brief = await Scene.open();
    brief.playground.iam.setLifetimes({ deviceCode: 1 });
    const login = ['login', brief.playground.issuer, '--no-browser'];
    const { exitCode, stderr } = await brief.user.wire(login, brief.signal, { allow: anyExit });
    expect(exitCode).toBe(exitCodeOf['login-expired']);
    expect(stderr.trim().split('\n').at(-1)).toMatch(/^wire: .*;/);
  });
});

describe.skipIf(!canMount)('wire mount refuses in one line, and leaves no mount', () => {
  const at = (name: string): string => scene.place(name);

  it('before anybody has logged in', async () => {
    await using stranger = await Scene.open();
    const args = ['mount', 's3://wire-demo', stranger.place('m'), '--mkdir', ...stranger.store];
    const { exitCode, stderr } = await stranger.user.wire(args, stranger.signal, {
      allow: anyExit,
    });
    expect(exitCode).toBe(exitCodeOf['login-expired']);
    expect(stderr.trim()).toMatch(/^wire: .*wire login/);
    expect(await exists(stranger.place('m'))).toBe(false);
  });

  describe('once logged in', () => {
    beforeAll(async () => {
      await scene.login('bob');
      await mkdir(at('empty'), { recursive: true });
    });

    it('a role that STS does not grant', async () => {
      const { endpoint, audience } = scene.playground;
      const where = ['--endpoint', endpoint, '--audience', audience, '--role', 'no-such-role'];
      await refuses(['mount', 's3://bob', at('empty'), ...where], {
        kind: 'identity-refused',
        says: [/STS|AssumeRole/i, /;/],
      });
    });

    it('an endpoint that does not answer', async () => {
      const where = ['--endpoint', NOBODY, '--audience', 'wire-s3', '--role', 'x'];
      await refuses(['mount', 's3://bob', at('empty'), ...where], {
        kind: 'unreachable',
        says: [/127\.0\.0\.1:4/, /;/],
      });
    });

    it('no endpoint', async () => {
      await refuses(['mount', 's3://bob', at('empty')], { kind: 'usage', says: [/--endpoint/] });
    });

    it('a bucket that is not there', async () => {
      await using owner = await Scene.open();
      await owner.login('bob');
      const { endpoint, root } = owner.playground;
      const asRoot = { endpoint, region: 'us-east-1', forcePathStyle: true, credentials: root };
      await new S3Client(asRoot).send(new DeleteBucketCommand({ Bucket: 'bob' }));
      const args = ['mount', 's3://bob', owner.place('m'), ...owner.store, '--mkdir'];
      const { exitCode, stderr } = await owner.user.wire(args, owner.signal, { allow: anyExit });
      expect(exitCode).toBe(exitCodeOf['not-found']);
      expect(stderr.trim()).toMatch(/^wire: .*bob.*;.*$/);
      expect(await exists(owner.place('m'))).toBe(false);
    });

    it('a bucket that one may not list', async () => {
      await refuses(['mount', 's3://alice', at('empty'), ...scene.store], {
        kind: 'access-denied',
        says: [/alice/, /;/],
      });
    });

    it('a mount point that is missing, and names --mkdir', async () => {
      await refuses(['mount', 's3://bob', at('missing'), ...scene.store], {
        kind: 'mount-point',
        says: [/missing/, /--mkdir/],
      });
    });

    it('a mount point that nobody can make', async () => {
      await refuses(['mount', 's3://bob', '/proc/none/here', ...scene.store, '--mkdir'], {
        kind: 'mount-point',
        says: [/\/proc\/none\/here/, /;/],
      });
    });

    it('a mount point that is a file', async () => {
      await writeFile(at('file'), '');
      await refuses(['mount', 's3://bob', at('file'), ...scene.store], {
        kind: 'mount-point',
        says: [/file/, /;/],
      });
    });

    it('a mount point that holds something', async () => {
      await mkdir(at('full'), { recursive: true });
      await writeFile(join(at('full'), 'x'), '');
      await refuses(['mount', 's3://bob', at('full'), ...scene.store], {
        kind: 'mount-point',
        says: [/full/, /empty/, /;/],
      });
    });

    it('a mount point that is in use', async () => {
      await scene.mount('s3://bob', at('busy'));
      await refuses(['mount', 's3://bob', at('busy'), ...scene.store], {
        kind: 'mount-point',
        says: [/busy/, /unmount/],
      });
      await scene.user.wire(['unmount', at('busy')], scene.signal);
    });

    it('a folder it made itself goes again when the mount is refused', async () => {
      const made = at('made');
      await refuses(['mount', 's3://alice', made, ...scene.store, '--mkdir'], {
        kind: 'access-denied',
        says: [/alice/],
      });
      expect(await exists(made)).toBe(false);
    });

    it('the same refusals in the background, with the same exit code', async () => {
      await refuses(['mount', 's3://alice', at('empty'), ...scene.store, '--daemon'], {
        kind: 'access-denied',
        says: [/alice/, /;/],
      });
    });

    it.each([
      ['a source that is none', ['mount', 'ftp://x', '/tmp'], /ftp:\/\/x/],
      ['a source without a place', ['mount', 's3://bob'], /MOUNTPOINT|mountpoint/],
      ['an unknown option', ['mount', '--no-such-option'], /no-such-option/],
      ['an unknown command', ['mout'], /mout/],
    ])('%s', async (_, args, says) => {
      await refuses(args, { kind: 'usage', says: [says] });
    });

    it.skipIf(!isRoot)('a machine without /dev/fuse', async () => {
      const { exitCode, stderr } = await withoutFuse(at('empty'));
      expect(exitCode).toBe(exitCodeOf['no-fuse']);
      expect(stderr.trim()).toMatch(/^wire: .*\/dev\/fuse.*;/);
    });
  });
});

/** `wire mount` in a mount namespace of its own, where nothing is at /dev/fuse. */
async function withoutFuse(mountPoint: string): Promise<{ exitCode: number; stderr: string }> {
  const { user, signal, store } = scene;
  const hide = [
    'mount --make-rprivate /',
    'mount -t tmpfs none /dev',
    'mknod -m 666 /dev/null c 1 3',
    'mknod -m 666 /dev/urandom c 1 9',
    'exec "$@"',
  ].join(' && ');
  const wire = user.commandLine(['mount', 's3://bob', mountPoint, ...store]);
  return await run('unshare', ['-m', 'sh', '-c', hide, 'sh', ...wire], signal, {
    env: user.environment,
    allow: anyExit,
  });
}
