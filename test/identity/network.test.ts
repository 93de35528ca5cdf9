/** The network under a mount: TLS with a CA of one's own, and connections that die. */
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, fetch as fetchBy, type RequestInit } from 'undici';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { hasOpenssl, PrivateCa } from '../../scripts/servers/private-ca.ts';
import { Forwarder } from '../fixtures/forwarder.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';
import { TlsFront } from '../fixtures/tls-front.ts';

const MiB = 2 ** 20;

/** A mount whose store is behind `forwarder`; STS is reached without it. */
async function mountThrough(scene: Scene, forwarder: Forwarder): Promise<string> {
  const { playground } = scene;
  await scene.login();
  const mountPoint = scene.place('bucket');
  const store = ['--endpoint', forwarder.url, '--sts-endpoint', playground.endpoint];
  await scene.mount(`s3://${playground.bucket}`, mountPoint, ...store);
  return mountPoint;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Bytes that differ from block to block. */
function pattern(bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) content.writeUInt32LE(at, at);
  return content;
}

describe.skipIf(!canMount)('a mount whose network dies', () => {
  it.each(['silent', 'broken'] as const)(
    'for 15 s (%s) goes on reading and writing where it was, without an error',
    async (health) => {
      await using scene = await Scene.open();
      const { playground, user, signal } = scene;
      await using forwarder = await Forwarder.before(playground.endpoint);
      const mountPoint = await mountThrough(scene, forwarder);
      const content = pattern(96 * MiB);
      playground.s3.foreign.putObject(playground.bucket, 'big', content);
      const away = async (): Promise<void> => {
        await using file = await open(join(mountPoint, 'big'));
        const read = Buffer.alloc(content.length);
        await file.read(read, 0, MiB, 0);
        forwarder.health = health;
        const reading = (async (): Promise<void> => {
          for (let at = MiB; at < content.length; at += MiB) await file.read(read, at, MiB, at);
        })();
        const writing = writeFile(join(mountPoint, 'new'), 'written while it was away');
        const looking = readFile(join(mountPoint, 'nothing')).catch(
          (error: unknown) => (error as NodeJS.ErrnoException).code,
        );
        await sleep(15_000);
        forwarder.health = 'well';
        await Promise.all([reading, writing]);
        expect(await looking).toBe('ENOENT');
        expect(read.equals(content)).toBe(true);
      };
      const startedMs = performance.now();
      await away();
      expect(performance.now() - startedMs).toBeGreaterThan(15_000);
      // A silent try that began just before takes its ten seconds, and a pause at most five.
      expect(performance.now() - startedMs).toBeLessThan(40_000);
      expect(await readFile(join(mountPoint, 'new'), 'utf8')).toBe('written while it was away');
      await user.wire(['unmount', mountPoint], signal);
    },
  );

  it('while it is suspended makes new connections at once when it wakes up', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    await using forwarder = await Forwarder.before(playground.endpoint);
    const mountPoint = await mountThrough(scene, forwarder);
    await writeFile(join(mountPoint, 'before'), 'x');
    const [pid] = await scene.daemons();
    if (pid === undefined) throw new Error('no process');
    process.kill(pid, 'SIGSTOP');
    try {
      // Connections die without a word while nobody looks; new ones are fine.
      forwarder.health = 'silent';
      forwarder.health = 'well';
      await sleep(13_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const startedMs = performance.now();
    await writeFile(join(mountPoint, 'after'), 'y');
    // A dead connection would be given up after ten seconds of silence.
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect(await readFile(join(mountPoint, 'after'), 'utf8')).toBe('y');
    await user.wire(['unmount', mountPoint], signal);
  });

  it('before it is mounted is told within seconds', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    await scene.login();
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const startedMs = performance.now();
    const store = ['--endpoint', nobody, '--sts-endpoint', playground.endpoint];
    const args = ['mount', `s3://${playground.bucket}`, scene.place('bucket'), ...scene.store];
    const { stderr, exitCode } = await user.wire([...args, ...store, '--mkdir'], signal, {
      allow: [5],
    });
    expect(exitCode).toBe(5);
    expect(stderr).toContain('check --endpoint and the network');
    expect(performance.now() - startedMs).toBeLessThan(8000);
  });
});

const tlsName = 'IAM, STS and store behind TLS of a private CA (needs openssl)';

describe.skipIf(!canMount || !hasOpenssl)(tlsName, () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('work with --ca at each command, are refused in words without, and loudly with --insecure', async () => {
    await using ca = await PrivateCa.create();
    const certificate = await ca.issue();
    // The playground's own STS and browser have to trust the CA as well.
    const dispatcher = new Agent({ connect: { ca: await readFile(ca.file, 'utf8') } });
    vi.stubGlobal('fetch', async (asked: string | URL, init?: RequestInit) => {
      return await fetchBy(asked, { ...init, dispatcher });
    });
    const iamPort = await freePort();
    const plain = `http://127.0.0.1:${iamPort}`;
    await using front = await TlsFront.before(() => plain, certificate);
    await using scene = await Scene.open({ iamDialect: 'indigo', iamPort, iamOrigin: front.url });
    const { playground, user, signal } = scene;
    await using store = await TlsFront.before(() => playground.endpoint, certificate);

    const login = [playground.issuer, '--audience', playground.audience];
    const refused = await user.wire(['login', ...login, '--no-browser'], signal, { allow: [5] });
    expect(refused.stderr).toMatch(/signed by a CA that is not known here; name the CA: --ca/);
    const trusting = ['--ca', ca.file];
    await user.login([...login, ...trusting], 'alice', () => undefined, signal);

    const source = `s3://${playground.bucket}`;
    const mountPoint = scene.place('bucket');
    const there = ['--endpoint', store.url, '--mkdir'];
    const mount = ['mount', source, mountPoint, ...scene.store, ...there];
    const untrusted = await user.wire(mount, signal, { allow: [5] });
    expect(untrusted.stderr).toMatch(/signed by a CA that is not known here; name the CA: --ca/);
    expect(untrusted.stderr).not.toContain('Warning');

    await scene.mount(source, mountPoint, ...there, ...trusting);
    await writeFile(join(mountPoint, 'file'), 'over TLS');
    expect(await readFile(join(mountPoint, 'file'), 'utf8')).toBe('over TLS');
    await user.wire(['unmount', mountPoint], signal);

    const hosts = ['--insecure', new URL(store.url).host, new URL(front.url).host];
    const insecure = await user.wire([...mount, '--daemon', ...hosts], signal);
    expect(insecure.stderr).toContain(
      `Warning: the certificate of ${hosts[1]}, ${hosts[2]} is not`,
    );
    expect(await readFile(join(mountPoint, 'file'), 'utf8')).toBe('over TLS');
    await user.wire(['unmount', mountPoint], signal);
    for (const file of ['config.yaml']) {
      expect(await readFile(join(user.folder, file), 'utf8')).not.toContain('insecure');
    }
    const again = await user.wire(mount, signal, { allow: [5] });
    expect(again.stderr).toContain('--ca');
    await user.wire(['logout', ...trusting], signal);
    await rm(mountPoint, { recursive: true, force: true });
    await dispatcher.close();
  });
});
