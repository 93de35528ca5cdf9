import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discoverIssuer } from '../../../src/auth/issuer.ts';
import { assertSafeUrl, exchange, type HttpOptions } from '../../../src/net/http.ts';
import { forever, lineOf, open } from './reach.ts';

let server: Server;
let url: string;
let http: HttpOptions;
/** `METHOD path` of each request. */
let asked: string[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  asked = [];
  answer = (_, response) => void response.end('hello');
  server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  http = { fetch: (await open()).fetch };
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
});

async function get(path = '/', more: HttpOptions = {}): Promise<string> {
  const request = { method: 'GET', url: url + path } as const;
  return (await exchange('ask', request, { ...http, ...more }, forever)).text;
}

describe('a reply', () => {
  it('is given whole, with its status, headers and the clock of the server', async () => {
    answer = (_, response) =>
      void response
        .writeHead(418, { 'x-it': 'is', date: 'Wed, 21 Oct 2015 07:28:00 GMT' })
        .end('töpfe');
    const reply = await exchange('ask', { method: 'GET', url }, http, forever);
    expect(reply).toMatchObject({ status: 418, text: 'töpfe', serverTimeMs: 1_445_412_480_000 });
    expect(reply.headers.get('x-it')).toBe('is');
  });

  it('of 50 MB is not read to its end', async () => {
    let sent = 0;
    let closed = false;
    answer = (_, response) => {
      response.once('close', () => {
        closed = true;
      });
      const chunk = Buffer.alloc(2 ** 16, 'x');
      const more = (): void => {
        while (sent < 50e6 && !response.destroyed) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    };
    const line = await lineOf(get());
    expect(line).toContain('a reply of more than 1048576 bytes; check that this is the right');
    expect(sent).toBeLessThan(20e6);
    await expect.poll(() => closed).toBe(true);
  });

  it('that is small on the way and large unpacked is given up as well', async () => {
    const bomb = gzipSync(Buffer.alloc(30e6));
    answer = (_, response) => void response.setHeader('content-encoding', 'gzip').end(bomb);
    expect(bomb.length).toBeLessThan(100_000);
    expect(await lineOf(get())).toContain('a reply of more than 1048576 bytes');
  });

  it('that drips is given up when its time is over, and so is one that never begins', async () => {
    answer = (_, response) => {
      const drip = setInterval(() => response.write('x'), 20);
      response.once('close', () => clearInterval(drip));
    };
    const startedMs = performance.now();
    expect(await lineOf(get('/', { timeoutMs: 200 }))).toContain('no answer in time');
    answer = () => undefined;
    expect(await lineOf(get('/', { timeoutMs: 200 }))).toContain('no answer in time');
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  it('that is cut off is told', async () => {
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half');
      setImmediate(() => response.destroy());
    };
    expect(await lineOf(get())).toContain('the connection broke off');
  });

  it('with headers of a megabyte is given up', async () => {
    answer = (_, response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(2 ** 20)}\r\n\r\n`);
    };
    await lineOf(get());
  });
});

describe('an abort', () => {
  it('ends the exchange with its reason, before, while waiting and while reading', async () => {
    const reason = new Error('Ctrl-C');
    const request = { method: 'GET', url } as const;
    await expect(exchange('ask', request, http, AbortSignal.abort(reason))).rejects.toBe(reason);
    for (const begin of [false, true]) {
      answer = (_, response) => {
        if (begin) response.write('x');
      };
      const controller = new AbortController();
      const before = asked.length;
      const going = exchange('ask', request, http, controller.signal);
      going.catch(() => undefined);
      await expect.poll(() => asked.length).toBe(before + 1);
      controller.abort(reason);
      await expect(going).rejects.toBe(reason);
    }
  });
});

describe('a redirect', () => {
  const to = (location: string): void => {
    answer = (request, response) => {
      if (request.url === '/end') response.end('end');
      else response.writeHead(302, { location }).end('moved');
    };
  };

  it('is followed within the origin, for a GET', async () => {
    to('/end');
    expect(await get()).toBe('end');
    to(`${url}/end`);
    expect(await get()).toBe('end');
  });

  it('in a loop ends after three', async () => {
    to('/again');
    expect(await get()).toBe('moved');
    expect(asked).toHaveLength(4);
  });

  it.each([
    'http://127.0.0.1:1/end',
    'http://localhost/end',
    'http://169.254.169.254/latest/meta-data/',
    'https://elsewhere.example/end',
    '//elsewhere.example/end',
    'file:///etc/passwd',
    'http://[',
  ])('to another origin (%s) is not followed', async (location) => {
    to(location);
    expect(await get()).toBe('moved');
    expect(asked).toHaveLength(1);
  });

  it.each(['POST', 'DELETE'] as const)('of a %s is not followed', async (method) => {
    to('/end');
    const reply = await exchange('ask', { method, url }, http, forever);
    expect(reply.status).toBe(302);
    expect(asked).toEqual([`${method} /`]);
  });
});

describe('a URL', () => {
  it.each([
    'http://169.254.169.254/',
    'http://[fe80::1]/',
    'http://10.0.0.1/',
    'http://iam.example.org/',
    'http://localhost.example.org/',
    'http://127.0.0.1.example.org/',
    'http://0.0.0.0/',
    'http://[::]/',
    'http://[::ffff:169.254.169.254]/',
    'ftp://127.0.0.1/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://me:secret@iam.example.org/',
    'http://me@127.0.0.1/',
    'nonsense',
  ])('that is not safe (%s) is refused before anything is sent', async (unsafe) => {
    expect(() => {
      assertSafeUrl('send', unsafe);
    }).toThrow(/cannot send: /);
    const line = await lineOf(exchange('ask', { method: 'GET', url: unsafe }, http, forever));
    expect(line).not.toContain('secret');
  });

  it.each([
    'https://iam.example.org',
    'http://127.0.0.1:8080',
    'http://localhost',
    'http://[::1]:1',
  ])('that is safe (%s) is taken', (safe) => {
    assertSafeUrl('send', safe);
  });

  it.each(['http://2130706433/', 'http://0x7f.1/', 'http://127.1/'])(
    'that spells loopback another way (%s) is loopback',
    (odd) => {
      assertSafeUrl('send', odd);
    },
  );
});

describe('a discovery document', () => {
  /** The document with one endpoint replaced, and what is said of it. */
  async function discover(endpoints: Readonly<Record<string, unknown>>): Promise<string> {
    answer = (_, response) =>
      void response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ issuer: url, token_endpoint: `${url}/token`, ...endpoints }));
    return await discoverIssuer(url, http, forever).then(
      () => 'taken',
      (error: unknown) => String(error),
    );
  }

  it.each([
    'http://169.254.169.254/latest/meta-data/iam/security-credentials/',
    'https://169.254.169.254/token',
    'https://[fd00:ec2::254]/token',
    'https://metadata.google.internal/token',
    'http://10.0.0.1/token',
    'http://localhost:1/token',
    'https://elsewhere.example/token',
    'file:///etc/passwd',
    17,
    {},
    '',
    null,
  ])('that names the endpoint %s is refused, and nothing is sent there', async (endpoint) => {
    for (const name of [
      'token_endpoint',
      'device_authorization_endpoint',
      'registration_endpoint',
      'revocation_endpoint',
      'userinfo_endpoint',
      'authorization_endpoint',
      'jwks_uri',
    ]) {
      expect([name, await discover({ [name]: endpoint })]).not.toEqual([name, 'taken']);
    }
    expect(new Set(asked)).toEqual(new Set(['GET /.well-known/openid-configuration']));
  });

  it('may name hosts that the person allowed, by that very name, and over https only', async () => {
    const allow = (...endpointHosts: readonly string[]): void => {
      http = { ...http, endpointHosts };
    };
    allow('login.example', 'metadata.example:8443');
    expect(await discover({ token_endpoint: 'https://login.example/token' })).toBe('taken');
    expect(await discover({ token_endpoint: 'https://login.example:444/token' })).toBe('taken');
    expect(await discover({ token_endpoint: 'https://metadata.example:8443/' })).toBe('taken');
    for (const endpoint of [
      'http://login.example/token',
      'https://metadata.example/token',
      'https://sub.login.example/token',
      'https://login.example.evil.example/token',
      'https://login.example@evil.example/token',
      'https://169.254.169.254/token',
    ]) {
      expect([endpoint, await discover({ token_endpoint: endpoint })]).not.toContain('taken');
    }
  });

  it('of another issuer is refused', async () => {
    expect(await discover({ issuer: 'https://evil.example' })).toContain(
      'it speaks for https://evil',
    );
  });

  it('of 50 MB, or behind a redirect to another host, is not taken', async () => {
    answer = (_, response) => void response.end(`{"issuer":"${'x'.repeat(2e6)}`);
    expect(await lineOf(discoverIssuer(url, http, forever))).toContain('more than 1048576 bytes');
    answer = (_, response) =>
      void response.writeHead(302, { location: 'http://127.0.0.1:1/other' }).end();
    expect(await lineOf(discoverIssuer(url, http, forever))).toContain('302');
  });
});
