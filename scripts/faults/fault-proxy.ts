/** A store's front on loopback: passes requests on, and does to some of them what the rules say. */
import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { systemClock } from '../../src/lib/clock.ts';
import type { WayFault } from './fault.ts';
import { type FaultRules, type PassingRequest, requestKind } from './fault-rules.ts';
import { flipped, isWholeAndSummed, PAGE, refusalOf } from './faulty-answers.ts';

export class FaultProxy implements AsyncDisposable {
  readonly rules: FaultRules;
  readonly #upstream: { readonly host: string; readonly port: number };
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ending = new AbortController();
  #away = false;
  /** Resolves when things move again. */
  #thaw: { readonly done: Promise<void>; readonly end: () => void } | undefined;

  private constructor(upstream: URL, rules: FaultRules) {
    this.rules = rules;
    this.#upstream = { host: upstream.hostname, port: Number(upstream.port) };
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.requestTimeout = 0;
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on('connection', (socket) => this.#admit(socket));
  }

  static async start(upstream: URL, rules: FaultRules): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream, rules);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  set away(away: boolean) {
    this.#away = away;
    if (away) for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  set frozen(frozen: boolean) {
    if (!frozen) {
      this.#thaw?.end();
      this.#thaw = undefined;
    } else if (this.#thaw === undefined) {
      let end = (): void => undefined;
      const done = new Promise<void>((resolve) => (end = resolve));
      this.#thaw = { done, end };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.frozen = false;
    for (const socket of this.#sockets) socket.destroy();
    this.#agent.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #admit(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    if (this.#away) {
      socket.resetAndDestroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    await this.#thaw?.done;
    const passing = describe(request);
    const fault = this.rules.take(passing);
    if (fault?.kind === 'latency') await this.#sleep(fault.ms);
    if (fault?.kind === 'stall' && fault.at === 'head') await this.#sleep(fault.ms);
    if (fault?.kind === 'reset' && fault.at === 'before') {
      request.socket.resetAndDestroy();
      return;
    }
    const isInstead = (fault?.kind === 'status' || fault?.kind === 'error in 200') && !fault.done;
    if (isInstead || fault?.kind === 'garbage') {
      request.resume();
      await once(request, 'end');
      answerInstead(response, fault, passing);
      return;
    }
    await this.#pass(request, response, passing, fault);
  }

  async #pass(
    request: IncomingMessage,
    response: ServerResponse,
    passing: PassingRequest,
    fault: WayFault | undefined,
  ): Promise<void> {
    const onward = httpRequest({
      ...this.#upstream,
      agent: this.#agent,
      method: passing.method,
      path: passing.url,
      headers: request.rawHeaders,
    });
    onward.on('error', () => response.destroy());
    response.once('close', () => onward.destroy());
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>;
    answered.catch(() => undefined); // awaited below, unless the request breaks off first
    let isDamaged = fault?.kind !== 'corrupt' || fault.body !== 'request';
    for await (const chunk of request as AsyncIterable<Buffer>) {
      await this.#thaw?.done;
      if (fault?.kind === 'reset' && fault.at === 'in request') {
        onward.write(chunk.subarray(0, Math.floor(chunk.length / 2)));
        onward.destroy();
        request.socket.resetAndDestroy();
        return;
      }
      const passed = isDamaged ? chunk : flipped(chunk);
      isDamaged = true;
      if (!onward.write(passed)) await drained(onward);
    }
    onward.end();
    const [answer] = await answered;
    await this.#answer(answer, response, passing, fault);
  }

  async #answer(
    answer: IncomingMessage,
    response: ServerResponse,
    passing: PassingRequest,
    fault: WayFault | undefined,
  ): Promise<void> {
    answer.on('error', () => response.destroy());
    if (fault?.kind === 'status' || fault?.kind === 'error in 200') {
      answer.resume();
      await once(answer, 'end');
      answerInstead(response, fault, passing);
      return;
    }
    if (fault?.kind === 'reset' && fault.at === 'after') {
      answer.resume();
      await once(answer, 'end');
      response.socket?.resetAndDestroy();
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    let damages = fault?.kind === 'corrupt' && fault.body === 'answer' && isWholeAndSummed(answer);
    let stalls = fault?.kind === 'stall' && fault.at === 'body' ? fault.ms : 0;
    if (damages) this.rules.count('corrupt answer');
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      await this.#thaw?.done;
      if (fault?.kind === 'truncate' || (fault?.kind === 'reset' && fault.at === 'in answer')) {
        await breakOff(response, chunk, fault.kind === 'truncate');
        return;
      }
      if (stalls > 0) {
        response.write(chunk.subarray(0, 1));
        await this.#sleep(stalls);
        stalls = 0;
        response.write(chunk.subarray(1));
        continue;
      }
      const passed = damages ? flipped(chunk) : chunk;
      damages = false;
      if (!response.write(passed)) await drained(response);
    }
    response.end();
  }

  async #sleep(ms: number): Promise<void> {
    await systemClock.sleep(ms, this.#ending.signal);
  }
}

function describe({ method = 'GET', url = '/', headers }: IncomingMessage): PassingRequest {
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  const sum = headers['x-amz-content-sha256'];
  const hasBody = Number(headers['content-length'] ?? 0) > 0;
  const isSummed = typeof sum === 'string' && /^[0-9a-f]{64}$/.test(sum);
  const kind = requestKind(method, url, isForm);
  return { kind, method, url, isBodySigned: kind !== 'sts' && hasBody && isSummed };
}

function answerInstead(response: ServerResponse, fault: WayFault, passing: PassingRequest): void {
  const { status, type, body } =
    fault.kind === 'garbage' ? { status: 200, type: 'text/html', body: PAGE } : refusalOf(fault);
  const bytes = Buffer.from(body);
  response.writeHead(status, { 'content-type': type, 'content-length': bytes.length });
  response.end(passing.method === 'HEAD' ? undefined : bytes);
}

/** Takes more again, or never will. */
async function drained(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}

/** Half of what there is, and no more. */
async function breakOff(response: ServerResponse, chunk: Buffer, gently: boolean): Promise<void> {
  const half = chunk.subarray(0, Math.floor(chunk.length / 2));
  await new Promise<void>((resolve) => void response.write(half, () => resolve()));
  if (gently) response.socket?.end();
  else response.socket?.resetAndDestroy();
}
