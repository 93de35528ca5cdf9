import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasOpenssl, PrivateCa } from '../../../scripts/servers/private-ca.ts';
import { exchange } from '../../../src/net/http.ts';
import { ConnectProxy, type ConnectProxyOptions } from '../../fixtures/connect-proxy.ts';
import { TlsFront } from '../../fixtures/tls-front.ts';
import { forever, keepLog, LISTING, lineOf, open, ways } from './reach.ts';

const name = 'a proxy (needs the command openssl: apt-get install openssl)';
/** Known to the proxy alone. */
const URL_BEHIND = 'https://s3.wire.example:8443';
const TARGET = 's3.wire.example:8443';

describe.skipIf(!hasOpenssl)(name, () => {
  let ca: PrivateCa;
  let front: TlsFront;
  const proxies: ConnectProxy[] = [];

  async function start(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
    const proxy = await ConnectProxy.start({ ports: { [TARGET]: front.port }, ...options });
    proxies.push(proxy);
    return proxy;
  }

  beforeAll(async () => {
    ca = await PrivateCa.create();
    const certificate = await ca.issue({ names: 'DNS:s3.wire.example,DNS:localhost,IP:127.0.0.1' });
    front = await TlsFront.answering(certificate, (_, response) => response.end(LISTING));
  });

  afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy[Symbol.asyncDispose]();
  });

  afterAll(async () => {
    await front[Symbol.asyncDispose]();
    await ca[Symbol.asyncDispose]();
  });

  describe.each(ways)('for $way', ({ ask }) => {
    it('connects by CONNECT, sees the host only, and the certificate is checked end to end', async () => {
      const proxy = await start();
      const environment = { HTTPS_PROXY: `http://${proxy.host}` };
      await ask(await open({ ca: ca.file }, { environment }), URL_BEHIND);
      expect(proxy.asked).toEqual([TARGET]);
      expect(proxy.plainRequests).toBe(0);
      const line = await lineOf(ask(await open({}, { environment }), URL_BEHIND));
      expect(line).toContain('signed by a CA that is not known here');
    });

    it('that speaks TLS itself is trusted by the same CAs', async () => {
      const proxy = await start({ certificate: await ca.issue() });
      const environment = { HTTPS_PROXY: `https://${proxy.host}` };
      await ask(await open({ ca: ca.file }, { environment }), URL_BEHIND);
      const line = await lineOf(ask(await open({}, { environment }), URL_BEHIND));
      expect(line).toContain(`the proxy ${proxy.host}: its certificate is signed by a CA`);
    });

    it('is shown its user and password, which show up nowhere else', async () => {
      const proxy = await start({ login: 'me:p@ss-word' });
      const environment = { HTTPS_PROXY: `http://me:p%40ss-word@${proxy.host}` };
      const { log, lines } = keepLog();
      const network = await open({ ca: ca.file }, { environment, log });
      await ask(network, URL_BEHIND);
      const wrong = { HTTPS_PROXY: `http://me:wr%20ng-word@${proxy.host}` };
      const error = await ask(
        await open({ ca: ca.file }, { environment: wrong, log }),
        URL_BEHIND,
      ).catch((thrown: unknown) => thrown);
      const basic = Buffer.from('me:wr ng-word').toString('base64');
      const everything = lines.join() + inspect(error, { depth: 20 }) + inspect(network);
      expect(everything).toContain('407');
      for (const secret of ['p@ss-word', 'p%40ss', 'wr ng', 'wr%20ng', basic]) {
        expect(everything).not.toContain(secret);
      }
    });

    it.each([
      { refuseWith: 407, next: 'put the right user and password into https_proxy' },
      { refuseWith: 403, next: 'ask its administrators, or put s3.wire.example into NO_PROXY' },
    ])('that answers $refuseWith gives one line, at once', async ({ refuseWith, next }) => {
      const proxy = await start({ refuseWith });
      const environment = { https_proxy: `http://${proxy.host}` };
      const line = await lineOf(ask(await open({ ca: ca.file }, { environment }), URL_BEHIND));
      const refusal = `the proxy ${proxy.host} refused to connect to ${TARGET} (${refuseWith})`;
      expect(line).toContain(`: ${refusal}; ${next}`);
      expect(proxy.asked).toHaveLength(1);
    });

    it('that cannot be reached is named', async () => {
      const proxy = await start();
      const { host } = proxy;
      await proxy[Symbol.asyncDispose]();
      proxies.length = 0;
      const environment = { HTTPS_PROXY: `http://${host}` };
      const line = await lineOf(ask(await open({ ca: ca.file }, { environment }), URL_BEHIND));
      expect(line).toContain(`the proxy ${host} cannot be reached (ECONNREFUSED)`);
      expect(line).toContain('check HTTPS_PROXY and the network');
    });

    it('that is misconfigured is told, and nothing is sent past it', async () => {
      const environment = { HTTPS_PROXY: 'socks5://me:hunter22@127.0.0.1:1080' };
      const line = await lineOf(ask(await open({ ca: ca.file }, { environment }), URL_BEHIND));
      expect(line).toContain('cannot use the proxy of HTTPS_PROXY: wire knows no socks5: proxies');
      expect(line).not.toContain('hunter22');
    });

    it('is not used for loopback, nor for what NO_PROXY names', async () => {
      const proxy = await start({ refuseWith: 403 });
      const environment = { HTTPS_PROXY: `http://${proxy.host}`, NO_PROXY: 'wire.example' };
      const network = await open({ ca: ca.file }, { environment });
      await ask(network, front.url);
      await ask(network, `https://localhost:${front.port}`);
      await lineOf(ask(network, URL_BEHIND));
      expect(proxy.asked).toEqual([]);
    });
  });

  it('makes a connection that is kept and used again', async () => {
    const proxy = await start();
    const environment = { HTTPS_PROXY: `http://${proxy.host}` };
    const network = await open({ ca: ca.file }, { environment });
    const asking = { method: 'GET', url: URL_BEHIND } as const;
    for (let times = 0; times < 3; times += 1) {
      await exchange('ask', asking, { fetch: network.fetch }, forever);
    }
    expect(proxy.asked).toHaveLength(1);
  });

  it('that connects after the network was closed leaves no connection behind', async () => {
    const slow = await start({ delayMs: 100 });
    const environment = { HTTPS_PROXY: `http://${slow.host}` };
    const network = await open({ ca: ca.file }, { environment });
    const asking = { method: 'GET', url: URL_BEHIND } as const;
    const failed = lineOf(exchange('ask', asking, { fetch: network.fetch }, forever));
    await expect.poll(() => slow.asked.length).toBe(1);
    await network[Symbol.asyncDispose]();
    expect(await failed).toContain('cannot ask');
    await expect.poll(() => slow.connections).toBe(0);
  });
});
