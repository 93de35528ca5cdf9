import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { MetricsEndpoint } from '../../../src/daemon/metrics-endpoint.ts';
import { foreignRequests, openElsewhere } from '../../fixtures/loopback.ts';

const { signal } = new AbortController();
const POLL = { timeout: 10_000 };

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function serve(metrics = (): string => 'wire_mounts 1\n'): Promise<MetricsEndpoint> {
  return await MetricsEndpoint.listen({ port: 0, metrics, requestMs: 200 }, signal);
}

async function ask(
  { port }: MetricsEndpoint,
  { method = 'GET', path = '/metrics', headers = {}, body }: Asked = {},
): Promise<{ readonly status: number; readonly type: string; readonly text: string }> {
  const request = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  const type = response.headers['content-type'] ?? '';
  return { status: response.statusCode ?? 0, type, text };
}

describe('metrics on a port', () => {
  it('are told to who asks from this machine, as text of Prometheus', async () => {
    await using endpoint = await serve();
    const told = {
      ...{ status: 200, text: 'wire_mounts 1\n' },
      type: 'text/plain; version=0.0.4; charset=utf-8',
    };
    expect(await ask(endpoint)).toEqual(told);
    expect(await ask(endpoint, { headers: { host: `localhost:${endpoint.port}` } })).toEqual(told);
    expect(endpoint.url).toBe(`http://127.0.0.1:${endpoint.port}/metrics`);
  });

  it.each<[string, number, Asked]>([
    ...foreignRequests.map(([how, headers]): [string, number, Asked] => [how, 403, { headers }]),
    ['from a browser without an Origin', 403, { headers: { 'sec-fetch-site': 'cross-site' } }],
    ['by POST', 405, { method: 'POST' }],
    ['by OPTIONS', 405, { method: 'OPTIONS' }],
    ['of another path', 404, { path: '/' }],
    ['with a body', 400, { body: 'x', headers: { 'content-length': '1' } }],
  ])('are not told to who asks %s', async (_, status, asked) => {
    await using endpoint = await serve();
    const answer = await ask(endpoint, asked);
    expect([answer.status, answer.text]).toEqual([status, 'refused\n']);
  });

  it('are on the loopback address alone', async () => {
    await using endpoint = await serve();
    expect(await openElsewhere(endpoint.port)).toEqual([]);
  });

  it.each([
    ['does not finish asking', 'GET /metrics HTTP/1.1\r\nHost'],
    ['asks with a huge head', `GET /metrics HTTP/1.1\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`],
    ['speaks no HTTP', '\u0000\u0001 hello\r\n\r\n'],
  ])('hang up on who %s, and are there for the next', async (_, said) => {
    await using endpoint = await serve();
    const socket = connect(endpoint.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(said);
    await once(socket, 'close');
    expect((await ask(endpoint)).status).toBe(200);
  });

  it('hang up on who does not take the answer, so that others can ask', async () => {
    let body = 'x'.repeat(16 * 1024 * 1024);
    await using endpoint = await serve(() => body);
    const lazy = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const socket = connect(endpoint.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.pause();
        socket.write(`GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:${endpoint.port}\r\n\r\n`);
        await new Promise((resolve) => socket.once('readable', resolve).once('close', resolve));
        return socket;
      }),
    );
    body = 'wire_mounts 1\n';
    // As many as there may be: the next is let in when one of them is gone.
    await expect
      .poll(async () => await ask(endpoint).catch(() => 'refused'), POLL)
      .toMatchObject({
        status: 200,
      });
    for (const socket of lazy) socket.destroy();
  });

  it('say so when the port is taken', async () => {
    await using endpoint = await serve();
    const { port } = endpoint;
    const again = MetricsEndpoint.listen({ port, metrics: () => '' }, signal);
    await expect(again).rejects.toMatchObject({
      kind: 'config',
      facts: { tried: `serve metrics on 127.0.0.1:${port}`, answered: 'EADDRINUSE' },
    });
  });
});
