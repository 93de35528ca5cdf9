import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DelayProxy } from '../../../bench/delay-proxy.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { Closers } from '../../../src/lib/closers.ts';

let closers = new Closers();

afterEach(async () => {
  await closers[Symbol.asyncDispose]();
  closers = new Closers();
});

/** A server that sends back what it is sent, behind a proxy. */
async function echoBehindProxy(oneWayMs: number): Promise<DelayProxy> {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const url = await listen(server);
  return closers.use(await DelayProxy.start(url, oneWayMs));
}

async function listen(server: Server): Promise<URL> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.defer(() => void server.close());
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

/** Sends `bytes` and the end, and returns everything that comes back until the other end. */
async function exchange({ port }: DelayProxy, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  closers.defer(() => void socket.destroy());
  socket.end(bytes);
  const pieces: Buffer[] = [];
  for await (const piece of socket as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}

function pattern(bytes: number): Buffer {
  const all = Buffer.allocUnsafe(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) all.writeUInt32LE(at, at);
  return all;
}

describe('the delay proxy', () => {
  for (const oneWayMs of [0, 5]) {
    it(`hands on every byte in order, and the end, ${oneWayMs} ms away`, async () => {
      const proxy = await echoBehindProxy(oneWayMs);
      // More than its window, so that the sender has to be paused.
      const sent = pattern(40 * MiB);
      expect((await exchange(proxy, sent)).equals(sent)).toBe(true);
      const { connections, bytesToClient, bytesToServer } = proxy.counts;
      expect({ connections, bytesToClient, bytesToServer }).toEqual({
        connections: 1,
        bytesToClient: sent.length,
        bytesToServer: sent.length,
      });
    });
  }

  it('lets no byte arrive before a round trip for the handshake and one for itself', async () => {
    const proxy = await echoBehindProxy(10);
    const started = performance.now();
    await exchange(proxy, Buffer.from('x'));
    // Timers count whole milliseconds: one may be early by less than that.
    expect(performance.now() - started).toBeGreaterThan(38);
  });

  it('counts requests by their method, several in one packet too', async () => {
    const proxy = await echoBehindProxy(0);
    const request = (method: string): string => `${method} /a HTTP/1.1\r\nHost: b\r\n\r\n`;
    await exchange(proxy, Buffer.from(request('GET') + request('HEAD') + request('GET')));
    await exchange(proxy, Buffer.from(request('HEAD')));
    expect(proxy.counts.requests).toEqual({ GET: 2, HEAD: 2 });
  });

  it('tells copies from uploads, and takes no bytes of a body for a request', async () => {
    const proxy = await echoBehindProxy(0);
    const head = 'PUT /a HTTP/1.1\r\nHost: b\r\n';
    await exchange(proxy, Buffer.from(`${head}X-Amz-Copy-Source: /b/c\r\n\r\n`));
    await exchange(proxy, Buffer.from(`${head}\r\n\r\n\r\nGET /a HTTP/1.1`));
    expect(proxy.counts.requests).toEqual({ COPY: 1, PUT: 1 });
  });

  it('closes the connection when the server cannot be reached', async () => {
    const server = createServer();
    const url = await listen(server);
    server.close();
    await once(server, 'close');
    const proxy = closers.use(await DelayProxy.start(url, 0));
    expect((await exchange(proxy, Buffer.from('x'))).length).toBe(0);
  });
});
