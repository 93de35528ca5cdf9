import { mkdir, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Certificate, hasOpenssl, PrivateCa } from '../../../scripts/servers/private-ca.ts';
import { TlsFront } from '../../fixtures/tls-front.ts';
import { keepLog, LISTING, lineOf, open, ways } from './reach.ts';

const name = 'certificates (needs the command openssl: apt-get install openssl)';

describe.skipIf(!hasOpenssl)(name, () => {
  let ca: PrivateCa;
  let other: PrivateCa;
  let good: Certificate;
  let front: TlsFront;
  const fronts: TlsFront[] = [];

  async function serve(certificate: Certificate): Promise<string> {
    const started = await TlsFront.answering(certificate, (_, response) => response.end(LISTING));
    fronts.push(started);
    return started.url;
  }

  /** A folder as the IGTF's packages make it. */
  async function hashedFolder(folder: string, ...more: readonly string[]): Promise<string> {
    const path = join(ca.folder, folder);
    await mkdir(path);
    await symlink(ca.file, join(path, await ca.hashedName()));
    // Revocation lists and policies lie there as well.
    for (const file of ['1a2b3c4d.r0', 'A-CA.signing_policy', 'A-CA.info', ...more]) {
      await ca.write(join(folder, file), 'not a certificate\n');
    }
    return path;
  }

  beforeAll(async () => {
    ca = await PrivateCa.create();
    other = await PrivateCa.create();
    good = await ca.issue();
    front = await TlsFront.answering(good, (_, response) => response.end(LISTING));
  });

  afterAll(async () => {
    await front[Symbol.asyncDispose]();
    await ca[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    for (const started of fronts.splice(0)) await started[Symbol.asyncDispose]();
  });

  describe.each(ways)('for $way', ({ ask }) => {
    it('of a private CA are trusted with --ca FILE, and only then', async () => {
      await ask(await open({ ca: ca.file }), front.url);
      const line = await lineOf(ask(await open(), front.url));
      expect(line).toContain('its certificate is signed by a CA that is not known here');
      expect(line).toContain('--ca FILE');
      await lineOf(ask(await open({ ca: other.file }), front.url));
    });

    it.each(['SSL_CERT_FILE', 'AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'])(
      'are trusted by the file of %s, besides --ca',
      async (variable) => {
        const environment = { [variable]: ca.file };
        await ask(await open({}, { environment }), front.url);
        await ask(await open({ ca: other.file }, { environment }), front.url);
      },
    );

    it('are trusted by a hashed folder: --ca, X509_CERT_DIR, SSL_CERT_DIR, or the grid', async () => {
      const folder = await hashedFolder(`hashed-${ask.name}`);
      await ask(await open({ ca: folder }), front.url);
      await ask(await open({}, { environment: { X509_CERT_DIR: folder } }), front.url);
      const list = `/etc/ssl/certs:${folder}`;
      await ask(await open({}, { environment: { SSL_CERT_DIR: list } }), front.url);
      await ask(await open({}, { gridCertificates: folder }), front.url);
    });

    it('for another host are told with the host they are for', async () => {
      const url = await serve(await ca.issue({ names: 'DNS:other.example,DNS:*.wire.example' }));
      const line = await lineOf(ask(await open({ ca: ca.file }), url));
      expect(line).toContain(
        'its certificate is for another host, other.example, *.wire.example; check the host name',
      );
    });

    it('that have expired are told, with the clock to check', async () => {
      const url = await serve(await ca.issue({ expired: true }));
      const line = await lineOf(ask(await open({ ca: ca.file }), url));
      expect(line).toMatch(/its certificate has expired; check the clock/);
    });

    it('that sign themselves are told, and trusted when named', async () => {
      const certificate = await ca.selfSigned();
      const url = await serve(certificate);
      expect(await lineOf(ask(await open(), url))).toContain('its certificate is self-signed');
      await ask(await open({ ca: await ca.write('self.pem', certificate.cert) }), url);
    });

    it('are not checked for the host of --insecure, and for no other', async () => {
      const url = await serve(await other.issue({ names: 'DNS:elsewhere.example', expired: true }));
      const { host, port } = new URL(url);
      await ask(await open({ insecureHosts: [host] }), url);
      await ask(await open({ insecureHosts: ['127.0.0.1'] }), url);
      const others = [`127.0.0.1:${Number(port) + 1}`, 'localhost', '127.0.0.11', 'example'];
      await lineOf(ask(await open({ insecureHosts: others }), url));
      await lineOf(ask(await open(), url));
    });

    it('are checked whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
      const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
      try {
        await lineOf(ask(await open(), front.url));
      } finally {
        if (before === undefined)
          Reflect.deleteProperty(process.env, 'NODE_TLS_REJECT_UNAUTHORIZED');
        else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
      }
    });

    it('that are no TLS at all are told at once', async () => {
      const { createServer } = await import('node:http');
      const plain = createServer((_, response) => response.end());
      await new Promise<void>((resolve) => {
        plain.listen(0, '127.0.0.1', resolve);
      });
      const { port } = plain.address() as { port: number };
      const line = await lineOf(ask(await open(), `https://127.0.0.1:${port}`));
      expect(line).toMatch(/it does not speak TLS as expected \(\w+\); check the port/);
      plain.close();
    });

    it('that cannot be read are all named at once, and no request is made', async () => {
      const broken = await ca.write(`broken-${ask.name}.pem`, brokenPem);
      const none = await ca.write(`none-${ask.name}.pem`, 'hello\n');
      const environment = {
        AWS_CA_BUNDLE: none,
        SSL_CERT_FILE: '/nonexistent.pem',
        X509_CERT_DIR: '/nonexistent',
      };
      const connections = front.connections;
      const line = await lineOf(ask(await open({ ca: broken }, { environment }), front.url));
      for (const part of [
        `--ca ${broken}: certificate 1 of 1 in it is broken`,
        `AWS_CA_BUNDLE ${none}: it holds no certificate`,
        'SSL_CERT_FILE /nonexistent.pem: there is no such file',
        'X509_CERT_DIR /nonexistent: there is no such file',
        'mend or unname them',
      ]) {
        expect(line).toContain(part);
      }
      expect(front.connections).toBe(connections);
    });
  });

  const brokenPem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const [exchanging] = ways;
  if (exchanging === undefined) throw new Error('no way');
  const { ask } = exchanging;

  it('in a folder are used without the broken one, which is named in the log once', async () => {
    const folder = await hashedFolder('partly', 'deadbeef.0');
    await symlink('/nonexistent', join(folder, 'beefdead.0'));
    const { log, lines } = keepLog();
    const network = await open({ ca: folder }, { log });
    await ask(network, front.url);
    await ask(network, front.url);
    const skipped = lines.filter((line) => line.includes('certificate skipped'));
    expect(skipped).toHaveLength(2);
    expect(skipped.join()).toContain(
      `${join(folder, 'deadbeef.0')}","why":"it holds no certificate`,
    );
    expect(skipped.join()).toContain(`${join(folder, 'beefdead.0')}","why":"there is no such file`);
  });

  it('of expired CAs in a folder do not disturb the others', async () => {
    await using old = await PrivateCa.create({ expired: true });
    const folder = await hashedFolder('with-old');
    await symlink(old.file, join(folder, '00000000.0'));
    const { log, lines } = keepLog();
    await ask(await open({ ca: folder }, { log }), front.url);
    expect(lines.filter((line) => line.includes('skipped'))).toEqual([]);
  });

  it('lie in a plain folder as *.pem and *.crt when it has no hashed names', async () => {
    const folder = join(ca.folder, 'plain');
    await mkdir(folder);
    await symlink(ca.file, join(folder, 'site.crt'));
    await ca.write('plain/README', 'hello');
    await ask(await open({ ca: folder }), front.url);
    const empty = join(ca.folder, 'empty');
    await mkdir(empty);
    const line = await lineOf(ask(await open({ ca: empty }), front.url));
    expect(line).toContain(`--ca ${empty}: no certificate lies in that folder`);
  });

  it('of NODE_EXTRA_CA_CERTS that are broken are a warning, as for Node itself', async () => {
    const { log, lines } = keepLog();
    const environment = { NODE_EXTRA_CA_CERTS: '/nonexistent.pem' };
    await ask(await open({ ca: ca.file }, { environment, log }), front.url);
    expect(lines.join()).toContain('"name":"NODE_EXTRA_CA_CERTS","file":"/nonexistent.pem"');
  });

  it('that were mended are used without a new start', async () => {
    const file = await ca.write('later.pem', brokenPem);
    const network = await open({ ca: file });
    await lineOf(ask(network, front.url));
    await ca.write(
      'later.pem',
      await import('node:fs/promises').then((fs) => fs.readFile(ca.file, 'utf8')),
    );
    await ask(network, front.url);
  });

  it('are read when the first server is reached over TLS, not at the start', async () => {
    const network = await open({ ca: '/nonexistent.pem' });
    const plain = await import('node:http').then(({ createServer }) =>
      createServer((_, response) => response.end(LISTING)),
    );
    await new Promise<void>((resolve) => {
      plain.listen(0, '127.0.0.1', resolve);
    });
    const { port } = plain.address() as { port: number };
    await ask(network, `http://127.0.0.1:${port}`);
    plain.close();
    plain.closeAllConnections();
    expect(await lineOf(ask(network, front.url))).toContain('/nonexistent.pem');
  });

  it('named by a relative path are those of the folder of the start', async () => {
    const before = process.cwd();
    const network = await open({ ca: relative(before, ca.file) });
    process.chdir('/');
    try {
      await ask(network, front.url);
    } finally {
      process.chdir(before);
    }
  });

  it('make one context for all connections, and TLS sessions are taken up again', async () => {
    const seen: boolean[] = [];
    const server = await TlsFront.answering(good, (request, response) => {
      const { socket } = request as unknown as { socket: { isSessionReused(): boolean } };
      seen.push(socket.isSessionReused());
      response.writeHead(200, { connection: 'close' }).end(LISTING);
    });
    fronts.push(server);
    const network = await open({ ca: ca.file });
    for (let times = 0; times < 3; times += 1) await ask(network, server.url);
    expect(seen).toEqual([false, true, true]);
  });
});
