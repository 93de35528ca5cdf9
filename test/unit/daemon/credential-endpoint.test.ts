import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { CredentialEndpoint } from '../../../src/daemon/credential-endpoint.ts';
import { createLog, silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import type { Credentials } from '../../../src/sts/credential-source.ts';
import { foreignRequests, openElsewhere } from '../../fixtures/loopback.ts';

const { signal } = new AbortController();
const token = new Secret('the-token-of-this-endpoint');
const keys: Credentials = {
  accessKeyId: 'ASIAKEY',
  secretAccessKey: new Secret('very-secret-key'),
  sessionToken: new Secret('very-secret-session'),
  expiresAtMs: Date.parse('2030-01-02T03:04:05Z'),
};

async function serve(
  credentials: (signal: AbortSignal) => Promise<Credentials> = async () =>
    await Promise.resolve(keys),
  more: { readonly requestMs?: number; readonly log?: typeof silentLog } = {},
): Promise<CredentialEndpoint> {
  const options = { port: 0, token, credentials, log: silentLog, ...more };
  return await CredentialEndpoint.listen(options, signal);
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** With the right token and host unless `asked` says otherwise. */
async function ask(endpoint: CredentialEndpoint, asked: Asked = {}): Promise<Answer> {
  const { method = 'GET', path = '/credentials', headers, body } = asked;
  const { port } = endpoint;
  const request = httpRequest({
    ...{ host: '127.0.0.1', port, method, path, agent: false },
    headers: { authorization: token.reveal(), ...headers },
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

describe('the credential endpoint', () => {
  it('gives what the AWS SDKs read, to who has the token', async () => {
    await using endpoint = await serve();
    const { status, headers, text } = await ask(endpoint);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      AccessKeyId: 'ASIAKEY',
      SecretAccessKey: 'very-secret-key',
      Token: 'very-secret-session',
      Expiration: '2030-01-02T03:04:05.000Z',
    });
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    expect(endpoint.url).toBe(`http://127.0.0.1:${endpoint.port}/credentials`);
  });

  it('is found under localhost as well', async () => {
    await using endpoint = await serve();
    const headers = { host: `localhost:${endpoint.port}` };
    expect(await ask(endpoint, { headers })).toMatchObject({ status: 200 });
  });

  it.each<[string, number, Asked]>([
    ['without a token', 401, { headers: { authorization: '' } }],
    ['with another token', 401, { headers: { authorization: 'another-token-altogether' } }],
    ['with a part of the token', 401, { headers: { authorization: token.reveal().slice(0, -1) } }],
    ['with more than the token', 401, { headers: { authorization: `${token.reveal()}x` } }],
    ['with the token as a Bearer', 401, { headers: { authorization: `Bearer ${token.reveal()}` } }],
    ...foreignRequests.map(([how, headers]): [string, number, Asked] => [how, 403, { headers }]),
    ['by POST', 405, { method: 'POST' }],
    ['by HEAD', 405, { method: 'HEAD' }],
    ['by OPTIONS, as a browser asks first', 405, { method: 'OPTIONS' }],
    ['of another path', 404, { path: '/' }],
    ['of a path with a question', 404, { path: '/credentials?x=1' }],
    ['with a body', 400, { body: 'x', headers: { 'content-length': '1' } }],
  ])('refuses who asks %s', async (_, status, asked) => {
    let given = 0;
    await using endpoint = await serve(async () => {
      given += 1;
      return await Promise.resolve(keys);
    });
    const answer = await ask(endpoint, asked);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toMatch(/ASIAKEY|very-secret|the-token/);
    expect(given).toBe(0);
  });

  it('tells nobody without the token which path or method is right', async () => {
    await using endpoint = await serve();
    const headers = { authorization: 'guess' };
    for (const asked of [{ path: '/other' }, { method: 'POST' }, {}]) {
      expect(await ask(endpoint, { ...asked, headers })).toMatchObject({ status: 401 });
    }
  });

  it('listens on the loopback address alone', async () => {
    await using endpoint = await serve();
    expect(await openElsewhere(endpoint.port)).toEqual([]);
  });

  it('hangs up on who does not finish asking', async () => {
    await using endpoint = await serve(undefined, { requestMs: 100 });
    const socket = connect(endpoint.port, '127.0.0.1');
    socket.write('GET /credentials HTTP/1.1\r\nHost:');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await once(socket, 'close');
    expect(text).not.toContain('200');
  });

  it('refuses headers without end', async () => {
    await using endpoint = await serve();
    const answer = await ask(endpoint, { headers: { 'x-long': 'x'.repeat(10_000) } });
    expect(answer.status).toBe(431);
  });

  it('gives fresh credentials each time, and no reason but 503 when there are none', async () => {
    const answers = [keys, { ...keys, accessKeyId: 'ASIANEXT' }];
    await using endpoint = await serve(async () => {
      const next = answers.shift();
      if (next !== undefined) return await Promise.resolve(next);
      throw new WireError('login-expired', { tried: 'renew', answered: 'alice at iam.example' });
    });
    expect((await ask(endpoint)).text).toContain('ASIAKEY');
    expect((await ask(endpoint)).text).toContain('ASIANEXT');
    const last = await ask(endpoint);
    expect(last.status).toBe(503);
    expect(last.text).not.toContain('iam.example');
  });

  it('stops waiting for credentials when the program has hung up, and when it is closed', async () => {
    const ends: string[] = [];
    const listeners: (() => void)[] = [];
    const waiting = async (until: AbortSignal): Promise<Credentials> => {
      listeners.shift()?.();
      await once(until, 'abort');
      ends.push((until.reason as Error).message);
      throw until.reason;
    };
    const begun = async (): Promise<void> =>
      await new Promise((resolve) => void listeners.push(resolve));
    const endpoint = await serve(waiting);
    const first = begun();
    const gone = connect(endpoint.port, '127.0.0.1');
    gone.write(
      `GET /credentials HTTP/1.1\r\nHost: 127.0.0.1:${endpoint.port}\r\nAuthorization: ${token.reveal()}\r\n\r\n`,
    );
    await first;
    gone.destroy();
    await expect.poll(() => ends).toEqual(['the program has hung up']);
    const second = begun();
    const left = ask(endpoint).catch(() => undefined);
    await second;
    await endpoint[Symbol.asyncDispose]();
    await left;
    expect(ends).toHaveLength(2);
  });

  it('keeps keys and token out of the log', async () => {
    const lines: string[] = [];
    const log = createLog(
      (line) => void lines.push(line),
      'trace',
      () => 0,
    );
    await using endpoint = await serve(undefined, { log });
    await ask(endpoint);
    await ask(endpoint, { headers: { authorization: 'a-wrong-token' } });
    await ask(endpoint, { headers: { origin: 'https://evil.example' } });
    expect(lines).toHaveLength(3);
    expect(lines.join('\n')).not.toMatch(/very-secret|the-token|a-wrong-token/);
  });

  it('fills no disk for who is refused again and again', async () => {
    const lines: string[] = [];
    const log = createLog(
      (line) => void lines.push(line),
      'trace',
      () => 0,
    );
    await using endpoint = await serve(undefined, { log });
    for (let times = 0; times < 40; times++) {
      await ask(endpoint, { headers: { authorization: 'guess' } });
    }
    const told = lines.map((line) => (JSON.parse(line) as { times: number }).times);
    expect(told).toEqual([1, 2, 4, 8, 16, 32]);
  });

  it('is not talked round by two Hosts, two lengths, a whole URL or a request behind a request', async () => {
    let given = 0;
    await using endpoint = await serve(async () => {
      given += 1;
      return await Promise.resolve(keys);
    });
    const head = (host: string): string =>
      `GET /credentials HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${token.reveal()}\r\n`;
    const own = `127.0.0.1:${endpoint.port}`;
    for (const text of [
      `${head('evil.example')}Host: ${own}\r\n\r\n`,
      `${head('evil.example')}\r\n${head(own)}\r\n`,
      `${head(own)}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
      `${head(own)}Origin:\r\n\r\n`,
      `GET http://${own}/credentials HTTP/1.1\r\nHost: evil.example\r\nAuthorization: ${token.reveal()}\r\n\r\n`,
      `GET http://${own}/credentials HTTP/1.1\r\nHost: ${own}\r\nAuthorization: ${token.reveal()}\r\n\r\n`,
    ]) {
      const socket = connect(endpoint.port, '127.0.0.1');
      let heard = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (heard += chunk));
      socket.on('error', () => undefined);
      socket.write(text);
      await once(socket, 'close');
      expect([text, heard.includes('ASIAKEY')]).toEqual([text, false]);
    }
    expect(given).toBe(0);
  });

  it('hangs up on who connects and asks nothing', async () => {
    await using endpoint = await serve(undefined, { requestMs: 100 });
    const socket = connect(endpoint.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
  });

  it('says which port cannot be had', async () => {
    await using endpoint = await serve();
    const { port } = endpoint;
    const credentials = async (): Promise<Credentials> => await Promise.resolve(keys);
    const second = CredentialEndpoint.listen({ port, token, credentials, log: silentLog }, signal);
    await expect(second).rejects.toMatchObject({ kind: 'config' });
  });
});
