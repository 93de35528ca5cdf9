import { once } from 'node:events';
import { request } from 'node:http';
import { createServer, type Server } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LoopbackCallback } from '../../../src/auth/loopback-callback.ts';

const signal = new AbortController().signal;
const STATE = 'the-state-of-this-login';

/** An address on a port that was free a moment ago. */
async function freeUri(): Promise<string> {
  const server = await taken(0);
  const uri = uriOf(server);
  server.close();
  await once(server, 'close');
  return uri;
}

async function taken(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function uriOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}/callback`;
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** What a browser, or whoever says it is one, gets. `fetch` would not let us choose a host. */
async function get(
  uri: string,
  path: string,
  { host = new URL(uri).host, method = 'GET' } = {},
): Promise<Reply> {
  const { port } = new URL(uri);
  const sent = request({ host: '127.0.0.1', port, path, method, headers: { host }, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

let uri: string;
let callback: LoopbackCallback;

beforeEach(async () => {
  uri = await freeUri();
  callback = await LoopbackCallback.listen([uri], STATE, signal);
});
afterEach(async () => await callback[Symbol.asyncDispose]());

/** Whether the login has been answered by now. */
async function arrived(): Promise<boolean> {
  return await Promise.race([callback.arrival.then(() => true), Promise.resolve(false)]);
}

const good = `/callback?code=the-code&state=${STATE}`;

describe('the address that a browser comes back to', () => {
  it('takes the answer, and shows what came of it once that is known', async () => {
    const answer = get(uri, good);
    const { parameters, reply } = await callback.arrival;
    expect(parameters.get('code')).toBe('the-code');
    await reply('<p>done</p>');
    const { status, text, headers } = await answer;
    expect([status, text]).toEqual([200, '<p>done</p>']);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      connection: 'close',
    });
    expect(headers['content-security-policy']).toContain("default-src 'none'");
  });

  it.each([
    ['another path', '/favicon.ico', {}, 404],
    ['no path at all', '/', {}, 404],
    ['a path that looks like an address', '//evil.example/callback', {}, 404],
    ['a deeper path', `/callback/x?code=c&state=${STATE}`, {}, 404],
    ['no state', '/callback?code=c', {}, 400],
    ['a wrong state', '/callback?code=c&state=another-state-of-a-login', {}, 400],
    ['a state of the same length', `/callback?code=c&state=${'x'.repeat(STATE.length)}`, {}, 400],
    ['two states', `${good}&state=${STATE}`, {}, 400],
    ['neither code nor error', `/callback?state=${STATE}`, {}, 400],
    ['two codes', `${good}&code=d`, {}, 400],
    ['both code and error', `${good}&error=e`, {}, 400],
    ['another host', good, { host: 'evil.example' }, 400],
    ['the host by name', good, { host: 'localhost' }, 400],
    ['another method', good, { method: 'POST' }, 405],
  ])('refuses %s, and goes on waiting', async (_, path, options, status) => {
    const refused = await get(uri, path, options);
    expect(refused.status).toBe(status);
    expect(refused.text).not.toContain(STATE);
    expect(await arrived()).toBe(false);
    const answer = get(uri, good);
    await (await callback.arrival).reply('');
    expect((await answer).status).toBe(200);
  });

  it('takes one answer only', async () => {
    const first = get(uri, good);
    const { parameters, reply } = await callback.arrival;
    const second = await get(uri, `/callback?code=another&state=${STATE}`);
    expect(second.status).toBe(410);
    expect(second.text).not.toContain('the-code');
    expect(parameters.get('code')).toBe('the-code');
    await reply('');
    expect((await first).status).toBe(200);
  });

  it('takes the next address when a port is in use, and says when all are', async () => {
    const other = await freeUri();
    await using second = await LoopbackCallback.listen([uri, other], STATE, signal);
    expect(second.redirectUri).toBe(other);
    const all = LoopbackCallback.listen([uri, other], STATE, signal);
    await expect(all).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('is on 127.0.0.1 and nowhere else', async () => {
    const { port } = new URL(uri);
    const sent = request({ host: '127.0.0.2', port, path: good, agent: false });
    sent.end();
    const [error] = (await once(sent, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });

  it('frees its port at once, also with a browser that hangs on', async () => {
    const answer = get(uri, good).catch((error: unknown) => error);
    await callback.arrival;
    await callback[Symbol.asyncDispose]();
    expect(await answer).toBeInstanceOf(Error);
    callback = await LoopbackCallback.listen([uri], STATE, signal);
  });

  it('does not open once interrupted', async () => {
    const aborted = AbortSignal.abort(new Error('Ctrl-C'));
    await expect(LoopbackCallback.listen([uri], STATE, aborted)).rejects.toThrow('Ctrl-C');
  });

  it('ends a reply to a browser that has gone', async () => {
    const { port } = new URL(uri);
    const sent = request({ host: '127.0.0.1', port, path: good, agent: false });
    sent.on('error', () => undefined);
    sent.end();
    const { reply } = await callback.arrival;
    sent.destroy();
    await reply('x'.repeat(100_000));
  });
});
