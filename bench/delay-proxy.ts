/**
 * A distance in front of a server: bytes arrive a fixed time after they were sent, each way, and
 * are counted. A new connection costs a round trip before its first byte, as TCP's handshake does.
 * What a real network has besides (loss, a slow start, a limit of bandwidth) is not here.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { KiB, MiB } from '../src/lib/bytes.ts';
import { SlabPool, SlabReader } from './slabs.ts';

/** What went through so far. */
export interface ProxyCounts {
  readonly connections: number;
  /** Heads and bodies. */
  readonly bytesToClient: number;
  readonly bytesToServer: number;
  /** Requests by method; a PUT whose bytes the server has already (x-amz-copy-source) is a COPY. */
  readonly requests: Readonly<Record<string, number>>;
}

/**
 * Bytes on their way in one direction of one connection; the sender is paused beyond. 10 ms of
 * 1.6 GiB/s: less would be a limit of bandwidth.
 */
const WINDOW_BYTES = 16 * MiB;

/** Where a request begins: at the start of a packet, or after the blank line of one before it. */
const HEAD = /(?:^|\r\n\r\n)(GET|HEAD|PUT|POST|DELETE) \/(?:(?!\r\n\r\n)[^])*/g;
const COPY = /^x-amz-copy-source:/im;
/** Heads are shorter; what follows one of a PUT is its body. */
const HEAD_BYTES = 64 * KiB;

export class DelayProxy implements AsyncDisposable {
  readonly #delayMs: number;
  readonly #upstream: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #pool = new SlabPool();
  readonly #sockets = new Set<Socket>();
  readonly #requests: Record<string, number> = {};
  #connections = 0;
  #bytesToClient = 0;
  #bytesToServer = 0;

  private constructor(upstream: URL, delayMs: number) {
    this.#delayMs = delayMs;
    this.#upstream = { host: upstream.hostname, port: Number(upstream.port) };
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      this.#join(client);
    });
  }

  /** Listens on a free port of 127.0.0.1; `delayMs` is of one way. */
  static async start(upstream: URL, delayMs: number): Promise<DelayProxy> {
    const proxy = new DelayProxy(upstream, delayMs);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get counts(): ProxyCounts {
    return {
      connections: this.#connections,
      bytesToClient: this.#bytesToClient,
      bytesToServer: this.#bytesToServer,
      requests: { ...this.#requests },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    this.#connections += 1;
    const reader = new SlabReader(this.#pool);
    // Nobody here sends a request with a body before the last one was answered.
    let expectsHead = true;
    const server = connect({
      ...{ ...this.#upstream, noDelay: true, allowHalfOpen: true },
      // Most bytes come from here: fewer and larger reads, and nothing for the collector.
      onread: {
        buffer: () => reader.room(),
        callback: (bytes) => {
          this.#bytesToClient += bytes;
          expectsHead = true;
          const { piece, release } = reader.took(bytes);
          toClient.send(piece, release);
          return true;
        },
      },
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
    }
    const handshakeEnds = performance.now() + 2 * this.#delayMs;
    const toServer = new DelayLine(client, server, this.#delayMs, handshakeEnds);
    const toClient = new DelayLine(server, client, this.#delayMs, 0);
    client.on('data', (bytes) => {
      this.#bytesToServer += bytes.length;
      if (expectsHead) this.#countRequests(bytes);
      expectsHead = false;
      toServer.send(bytes);
    });
    client.once('end', () => toServer.end());
    server.once('end', () => toClient.end());
  }

  #countRequests(bytes: Buffer): void {
    for (const [head, method = ''] of bytes.toString('latin1', 0, HEAD_BYTES).matchAll(HEAD)) {
      const name = COPY.test(head) ? 'COPY' : method;
      this.#requests[name] = (this.#requests[name] ?? 0) + 1;
      if (method === 'PUT' || method === 'POST') return;
    }
  }
}

/** Called when the bytes are not needed any more. */
type Release = () => void;

interface Sent {
  readonly bytes: Buffer;
  readonly release: Release | undefined;
  readonly dueMs: number;
}

/** One direction of one connection. */
class DelayLine {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #delayMs: number;
  /** Nothing is sent before. */
  readonly #opensMs: number;
  readonly #queue: Sent[] = [];
  #queuedBytes = 0;
  #timed = false;
  #ended = false;

  constructor(from: Socket, to: Socket, delayMs: number, opensMs: number) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
    this.#opensMs = opensMs;
    to.on('drain', () => this.#regulate());
  }

  send(bytes: Buffer, release?: Release): void {
    if (this.#delayMs === 0) {
      this.#to.write(bytes, release);
    } else {
      const sentMs = Math.max(performance.now(), this.#opensMs);
      this.#queue.push({ bytes, release, dueMs: sentMs + this.#delayMs });
      this.#queuedBytes += bytes.length;
      this.#wait();
    }
    this.#regulate();
  }

  end(): void {
    this.#ended = true;
    if (this.#queue.length === 0) this.#to.end();
  }

  #wait(): void {
    const first = this.#queue[0];
    if (this.#timed || first === undefined) return;
    this.#timed = true;
    setTimeout(() => this.#arrive(), Math.max(0, first.dueMs - performance.now()));
  }

  /** Everything that is due goes on in one system call. */
  #arrive(): void {
    this.#timed = false;
    const now = performance.now();
    const waiting = this.#queue.findIndex(({ dueMs }) => dueMs > now);
    const due = this.#queue.splice(0, waiting < 0 ? this.#queue.length : waiting);
    // After its end a socket still calls back, with an error that its own event tells.
    this.#to.cork();
    for (const { bytes, release } of due) {
      this.#queuedBytes -= bytes.length;
      this.#to.write(bytes, release);
    }
    this.#to.uncork();
    if (this.#ended && this.#queue.length === 0) this.#to.end();
    this.#wait();
    this.#regulate();
  }

  #regulate(): void {
    const full = this.#queuedBytes + this.#to.writableLength > WINDOW_BYTES;
    if (full && !this.#from.isPaused()) this.#from.pause();
    else if (!full && this.#from.isPaused()) this.#from.resume();
  }
}
