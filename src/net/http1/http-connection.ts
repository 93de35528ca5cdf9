/**
 * One connection that speaks HTTP/1.1, one request at a time. The body of an answer is read
 * straight into the room of its sink.
 *
 * Invariant: once an exchange has ended, nothing is written to its sink any more; and a connection
 * on which a byte came that no answer accounts for is never used again.
 */
import type { Socket } from 'node:net';
import type { Reading } from '../reading.ts';
import { type AnswerBody, bodyOf } from './answer-body.ts';
import { BadAnswerError, parseHead } from './answer-head.ts';
import {
  BrokenExchangeError,
  type HttpPatience,
  type HttpRequest,
  type Receiver,
} from './http-exchange.ts';
import { RequestSending } from './request-sending.ts';

/** Makes the socket, which may still be connecting. */
export type Connect = (reading: Reading) => Socket | Promise<Socket>;

/** What a connection tells the pool that has it. */
export interface ConnectionOwner {
  /** Its exchange has ended well: it will be freed, or end, within the turn. */
  settles(connection: HttpConnection): void;
  /** Another request may be sent. */
  freed(connection: HttpConnection): void;
  /** It is gone for good. */
  ended(connection: HttpConnection): void;
}

type State =
  /** Nothing is asked. */
  | 'idle'
  /** An answer has ended; what follows it in the same read shows within the turn. */
  | 'settling'
  /** The head of an answer is awaited or under way. */
  | 'head'
  | 'body'
  | 'dead';

/** An exchange as its connection sees it. */
export interface StartedExchange {
  readonly request: HttpRequest;
  readonly receiver: Receiver;
  readonly patience: HttpPatience;
  /** One of the two is called, once. */
  done(): void;
  failed(error: unknown): void;
}

/** Holds the usual head and a 4 KiB body: one read for a small answer. */
const SCRATCH_BYTES = 8 * 1024;
const LARGEST_HEAD_BYTES = 64 * 1024;
/** Answers of status 1xx before the real one. */
const MOST_INTERIM = 16;
const HEAD_END = Buffer.from('\r\n\r\n');

export class HttpConnection {
  readonly #owner: ConnectionOwner;
  #socket: Socket | undefined;
  #state: State = 'idle';
  #exchange: StartedExchange | undefined;
  #sending: RequestSending | undefined;
  #body: AnswerBody | undefined;
  /** The socket writes to the sink's room by itself. */
  #direct = false;
  /** A head under way, from the start; bytes of a body that have to be looked at. */
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #held = 0;
  #interim = 0;
  /** The last answer allows another request. */
  #keepsAlive = true;
  /** A byte of the present answer has come. */
  #answered = false;
  #requests = 0;
  /** What the socket's timer is set to. */
  #timerMs = 0;
  /** Of the present silence, what earlier timers have seen. */
  #silentMs = 0;
  #quietTold = false;

  constructor(connect: Connect, owner: ConnectionOwner) {
    this.#owner = owner;
    const reading = { room: () => this.#room(), came: (bytes: number) => this.#came(bytes) };
    try {
      const socket = connect(reading);
      if (socket instanceof Promise) this.#later(socket);
      else this.#attach(socket);
    } catch (error) {
      queueMicrotask(() => this.#die(error));
    }
  }

  /** An exchange is under way. */
  get busy(): boolean {
    return this.#exchange !== undefined;
  }

  get socket(): Socket | undefined {
    return this.#socket;
  }

  /**
   * The present exchange is not the first here, and nothing of its answer has come: when the
   * connection breaks off now, the server had most likely closed it before it was asked.
   */
  get stale(): boolean {
    return this.#requests > 1 && !this.#answered;
  }

  /** Only while it is free. */
  start(exchange: StartedExchange): void {
    this.#exchange = exchange;
    this.#state = 'head';
    this.#answered = false;
    this.#interim = 0;
    this.#requests += 1;
    this.#socket?.ref();
    this.#send();
  }

  /** Ends it, and an exchange under way with `reason`. */
  destroy(reason: unknown): void {
    this.#die(reason);
  }

  #later(made: Promise<Socket>): void {
    made.then(
      (socket) => {
        if (this.#state === 'dead') socket.destroy();
        else {
          this.#attach(socket);
          if (this.#exchange !== undefined) this.#send();
        }
      },
      (error: unknown) => this.#die(error),
    );
  }

  #attach(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', (error) => this.#die(error));
    socket.on('end', () => this.#closed());
    socket.on('close', () => this.#closed());
    socket.on('timeout', () => this.#timedOut());
  }

  #send(): void {
    const socket = this.#socket;
    const exchange = this.#exchange;
    if (socket === undefined || exchange === undefined) return;
    this.#silentMs = 0;
    this.#quietTold = false;
    this.#arm(this.#nextTimer(exchange, socket));
    this.#sending = new RequestSending(socket, exchange.request, () => this.#moved());
    this.#sending.start();
  }

  #room(): Uint8Array {
    try {
      const room = this.#state === 'body' ? this.#body?.room() : undefined;
      if (room !== undefined && room.byteLength > 0) return room;
      if (room !== undefined) throw new Error('a sink without room');
    } catch (error) {
      this.#die(error);
    }
    return this.#held < this.#scratch.byteLength
      ? this.#scratch.subarray(this.#held)
      : this.#scratch;
  }

  /** Of the room given last: where the state has changed since, the socket was destroyed. */
  #came(bytes: number): void {
    if (this.#state === 'dead') return;
    this.#answered = true;
    try {
      this.#moved();
      this.#take(bytes);
    } catch (error) {
      this.#die(error);
    }
  }

  #take(bytes: number): void {
    const body = this.#body;
    if (this.#state === 'idle' || this.#state === 'settling') {
      throw new BadAnswerError('bytes that nobody asked for');
    }
    if (this.#state === 'head') {
      this.#held += bytes;
      this.#readHead(Math.max(0, this.#held - bytes - HEAD_END.byteLength + 1));
      return;
    }
    if (body === undefined) return;
    if (!this.#direct) {
      this.#takeBody(body, this.#scratch.subarray(0, bytes));
      return;
    }
    body.came(bytes);
    if (body.complete) this.#finish();
  }

  /** @param from where the end of the head may begin, at the earliest. */
  #readHead(from: number): void {
    let searched = from;
    for (;;) {
      const held = this.#scratch.subarray(0, this.#held);
      const end = held.indexOf(HEAD_END, searched);
      if (end === -1) {
        this.#growScratch();
        return;
      }
      const isHead = this.#exchange?.request.isHead;
      const head = parseHead(held.toString('latin1', 0, end + 2), isHead);
      const rest = end + HEAD_END.byteLength;
      if (head.status >= 200) {
        this.#begin(head, held.subarray(rest));
        return;
      }
      this.#interim += 1;
      if (head.status === 101 || this.#interim > MOST_INTERIM) {
        throw new BadAnswerError('an answer that nobody asked for');
      }
      this.#scratch.copyWithin(0, rest, this.#held);
      this.#held -= rest;
      searched = 0;
    }
  }

  #growScratch(): void {
    const { byteLength } = this.#scratch;
    if (this.#held < byteLength) return;
    if (byteLength >= LARGEST_HEAD_BYTES) throw new BadAnswerError('an endless head');
    const larger = Buffer.allocUnsafeSlow(byteLength * 2);
    this.#scratch.copy(larger);
    this.#scratch = larger;
  }

  #begin(head: ReturnType<typeof parseHead>, rest: Uint8Array): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#keepsAlive = head.keepsAlive;
    const body = bodyOf(head, exchange.receiver.begin(head));
    // The receiver may have ended the exchange, or done with it.
    if (this.#exchange !== exchange) return;
    this.#body = body;
    this.#state = 'body';
    this.#held = 0;
    this.#direct = head.framing.by === 'length';
    if (rest.byteLength > 0 || body.complete) this.#takeBody(body, rest);
  }

  #takeBody(body: AnswerBody, bytes: Uint8Array): void {
    const taken = body.take(bytes);
    if (this.#state !== 'body' || !body.complete) return;
    if (taken < bytes.byteLength) this.#keepsAlive = false;
    this.#finish();
  }

  #finish(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#body = undefined;
    this.#held = 0;
    // An answer that came before all of its request was sent leaves the rest of that in the way.
    const socket = this.#socket;
    const sent = this.#sending?.ended === true && socket?.writableLength === 0;
    this.#sending = undefined;
    if (this.#keepsAlive && sent) {
      this.#state = 'settling';
      socket.unref();
      this.#owner.settles(this);
      // Bytes behind the answer, if there are any, have been read by then.
      setImmediate(() => this.#settle());
    } else this.#die(undefined);
    exchange?.done();
  }

  #settle(): void {
    if (this.#state !== 'settling') return;
    this.#state = 'idle';
    this.#owner.freed(this);
  }

  /** The server has ended the connection. */
  #closed(): void {
    const body = this.#body;
    if (this.#state === 'body' && body?.endsWithConnection === true) {
      this.#keepsAlive = false;
      this.#finish();
      return;
    }
    this.#die(new BrokenExchangeError('ECONNRESET', 'the server ended the connection'));
  }

  #die(reason: unknown): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#sending = undefined;
    this.#body = undefined;
    this.#held = 0;
    this.#socket?.destroy();
    this.#owner.ended(this);
    exchange?.failed(reason);
  }

  #arm(ms: number): void {
    if (ms === this.#timerMs) return;
    this.#timerMs = ms;
    this.#socket?.setTimeout(ms);
  }

  #nextTimer({ patience }: StartedExchange, socket: Socket): number {
    const { quietMs, silenceMs, connectMs } = patience;
    const longestMs = socket.connecting ? connectMs : silenceMs;
    const dueMs = this.#quietTold ? longestMs : Math.min(quietMs, longestMs);
    return Math.max(1, dueMs - this.#silentMs);
  }

  /** Something came or went; the socket has started its timer anew by itself. */
  #moved(): void {
    this.#silentMs = 0;
    if (!this.#quietTold) return;
    this.#quietTold = false;
    if (this.#exchange !== undefined && this.#socket !== undefined) {
      this.#arm(this.#nextTimer(this.#exchange, this.#socket));
    }
  }

  #timedOut(): void {
    const exchange = this.#exchange;
    const socket = this.#socket;
    if (exchange === undefined || socket === undefined) return;
    const { quietMs, silenceMs, connectMs } = exchange.patience;
    this.#silentMs += this.#timerMs;
    if (this.#silentMs >= (socket.connecting ? connectMs : silenceMs)) {
      this.#die(new BrokenExchangeError('ETIMEDOUT', 'nothing came'));
      return;
    }
    if (!this.#quietTold && this.#silentMs >= quietMs) {
      this.#quietTold = true;
      exchange.receiver.quiet?.();
    }
    // A timer that has fired stands still until it is set anew.
    this.#timerMs = 0;
    if (this.#exchange === exchange) this.#arm(this.#nextTimer(exchange, socket));
  }
}
