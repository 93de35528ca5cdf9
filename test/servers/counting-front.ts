/**
 * Notes every request on its way to a server on this machine, and changes nothing: the signatures
 * are for the address that the client knows, and the server checks them against the `Host` it gets.
 */
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface NotedRequest {
  readonly method: string;
  /** Path and query as sent, with the bucket in front. */
  readonly target: string;
  readonly status: number;
}

export class CountingFront implements AsyncDisposable {
  readonly #server: Server;
  readonly #behind: URL;
  #noted: NotedRequest[] = [];

  private constructor(behind: string) {
    this.#behind = new URL(behind);
    this.#server = createServer((asked, answer) => this.#pass(asked, answer));
  }

  static async before(endpoint: string): Promise<CountingFront> {
    const front = new CountingFront(endpoint);
    await new Promise<void>((resolve) => {
      front.#server.listen(0, '127.0.0.1', resolve);
    });
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What was answered since the last time this was asked. */
  take(): readonly NotedRequest[] {
    const noted = this.#noted;
    this.#noted = [];
    return noted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    const { method = '', url: target = '', rawHeaders: headers } = asked;
    const { hostname, port } = this.#behind;
    const sent = request({ hostname, port, method, path: target, headers, setHost: false });
    const breakOff = (): void => void answer.destroy();
    sent.on('error', breakOff);
    asked.on('error', () => sent.destroy());
    sent.on('continue', () => answer.writeContinue());
    sent.on('response', (received) => {
      const { statusCode: status = 0, rawHeaders } = received;
      this.#noted.push({ method, target, status });
      received.on('error', breakOff);
      answer.writeHead(status, rawHeaders);
      received.pipe(answer);
    });
    asked.pipe(sent);
  }
}
