/**
 * One kept connection: the least a client can do. A body is read from the socket straight
 * into one buffer that is used again and again.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket, type TcpSocketConnectOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { raceAbort } from '../../src/lib/abort.ts';
import { type Extent, KiB } from '../../src/lib/bytes.ts';

/** Room for the head of a reply. */
const HEAD_BYTES = 32 * KiB;

export interface RawReply {
  /** Good until the next request. */
  readonly body: Buffer;
  /** From the request to the first byte of the reply. */
  readonly firstByteMs: number;
}

interface Head {
  readonly bodyStart: number;
  readonly end: number;
}

interface Waiting {
  resolve(head: Head): void;
  reject(error: Error): void;
}

const STATUS = { GET: 'HTTP/1.1 206', HEAD: 'HTTP/1.1 200', PUT: 'HTTP/1.1 200' } as const;
type Method = keyof typeof STATUS;

export class RawConnection implements Disposable {
  readonly #socket: Socket;
  readonly #memory: Buffer;
  #filled = 0;
  #head: Head | undefined;
  #firstByteAt = 0;
  #method: Method = 'GET';
  #waiting: Waiting | undefined;

  private constructor(endpoint: URL, maxBodyBytes: number) {
    this.#memory = Buffer.allocUnsafeSlow(maxBodyBytes + HEAD_BYTES);
    this.#socket = socketTo(endpoint, {
      ...{ host: endpoint.hostname, port: Number(endpoint.port), noDelay: true },
      onread: {
        buffer: () => this.#memory.subarray(this.#filled),
        callback: (bytes) => {
          this.#take(bytes);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  static async open(
    endpoint: URL,
    maxBodyBytes: number,
    signal: AbortSignal,
  ): Promise<RawConnection> {
    const connection = new RawConnection(endpoint, maxBodyBytes);
    const isSecure = endpoint.protocol === 'https:';
    await once(connection.#socket, isSecure ? 'secureConnect' : 'connect', { signal });
    return connection;
  }

  /** @throws Error when the answer is not the extent. */
  async get(url: URL, { start, end }: Extent, signal: AbortSignal): Promise<RawReply> {
    const range = `Range: bytes=${start}-${end - 1}\r\n`;
    const reply = await this.#ask(requestOf('GET', url, range), 'GET', signal);
    if (reply.body.length === end - start) return reply;
    throw new Error(`${reply.body.length} bytes came for ${end - start}`);
  }

  async head(url: URL, signal: AbortSignal): Promise<void> {
    await this.#ask(requestOf('HEAD', url, ''), 'HEAD', signal);
  }

  async put(url: URL, body: Buffer, signal: AbortSignal): Promise<void> {
    const head = Buffer.from(requestOf('PUT', url, `Content-Length: ${body.length}\r\n`));
    await this.#ask(Buffer.concat([head, body]), 'PUT', signal);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #ask(request: string | Buffer, method: Method, signal: AbortSignal): Promise<RawReply> {
    this.#method = method;
    this.#filled = 0;
    this.#head = undefined;
    const reply = new Promise<Head>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const startedAt = performance.now();
    this.#socket.write(request);
    const { bodyStart, end } = await raceAbort(reply, signal);
    const body = this.#memory.subarray(bodyStart, end);
    return { body, firstByteMs: this.#firstByteAt - startedAt };
  }

  #take(bytes: number): void {
    if (this.#filled === 0) this.#firstByteAt = performance.now();
    this.#filled += bytes;
    try {
      this.#head ??= this.#readHead();
    } catch (error) {
      this.#fail(error as Error);
    }
    const head = this.#head;
    if (head === undefined || this.#filled < head.end) return;
    this.#filled = 0;
    this.#waiting?.resolve(head);
    this.#waiting = undefined;
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #readHead(): Head | undefined {
    const filled = this.#memory.subarray(0, this.#filled);
    const length = filled.indexOf('\r\n\r\n');
    if (length < 0) return undefined;
    const text = filled.toString('latin1', 0, length);
    const bytes = this.#method === 'HEAD' ? '0' : /^content-length: *(\d+)/im.exec(text)?.[1];
    if (!text.startsWith(STATUS[this.#method]) || bytes === undefined) {
      throw new Error(`the server answered ${filled.toString('latin1')}`);
    }
    const bodyStart = length + 4;
    return { bodyStart, end: bodyStart + Number(bytes) };
  }
}

/** Node reads `NODE_EXTRA_CA_CERTS` when it starts: a process that sets it for its children is too late. */
function socketTo(endpoint: URL, options: TcpSocketConnectOpts): Socket {
  if (endpoint.protocol !== 'https:') return connect(options);
  const file = process.env['NODE_EXTRA_CA_CERTS'];
  return connectTls({ ...options, ...(file !== undefined && { ca: readFileSync(file) }) });
}

function requestOf(method: Method, { pathname, search, host }: URL, headers: string): string {
  return `${method} ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n`;
}
