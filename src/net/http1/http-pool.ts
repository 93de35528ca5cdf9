/**
 * Connections to one server, kept and used again: the last one first, so that the others age and
 * are closed by the server.
 */
import type { Socket } from 'node:net';
import { type Connect, HttpConnection } from './http-connection.ts';
import {
  BrokenExchangeError,
  type HttpPatience,
  type HttpRequest,
  type PendingExchange,
  type Receiver,
} from './http-exchange.ts';
import { PooledExchange } from './pooled-exchange.ts';

export class HttpPool {
  readonly #connect: Connect;
  readonly #limit: number;
  readonly #all = new Set<HttpConnection>();
  readonly #idle: HttpConnection[] = [];
  /** They will be idle within the turn: worth waiting for. */
  readonly #settling = new Set<HttpConnection>();
  readonly #waiting = new Set<PooledExchange>();
  #closed = false;

  /** @param limit connections open at once; further exchanges wait for one. */
  constructor(connect: Connect, limit: number) {
    this.#connect = connect;
    this.#limit = limit;
  }

  /** Sends `request`; the body of its answer goes where `receiver` says. */
  exchange(request: HttpRequest, receiver: Receiver, patience: HttpPatience): PendingExchange {
    const exchange = new PooledExchange(request, receiver, patience, this);
    if (this.#closed) exchange.cancel(closedError());
    else this.take(exchange);
    return exchange;
  }

  /** Ends the connections that no request uses: the next request makes a new one. */
  dropIdle(): void {
    for (const connection of [...this.#all]) {
      if (!connection.busy) connection.destroy(undefined);
    }
  }

  /** As `dropIdle`, and those in use that `isDead` says so: their exchanges fail with ECONNRESET. */
  dropDead(isDead: (socket: Socket) => boolean): void {
    this.dropIdle();
    for (const connection of [...this.#all]) {
      const { socket } = connection;
      if (socket === undefined || isDead(socket)) {
        connection.destroy(new BrokenExchangeError('ECONNRESET', 'the network has changed'));
      }
    }
  }

  /** Ends every connection, and every exchange with it. */
  destroy(): void {
    this.#closed = true;
    for (const exchange of [...this.#waiting]) exchange.cancel(closedError());
    for (const connection of [...this.#all]) connection.destroy(closedError());
  }

  /** Starts `exchange` where there is a connection for it, or keeps it waiting. */
  take(exchange: PooledExchange, fresh = false): void {
    const idle = fresh ? undefined : this.#idle.pop();
    if (idle !== undefined) {
      exchange.startOn(idle);
      return;
    }
    const settling = fresh ? 0 : this.#settling.size;
    if (settling > this.#waiting.size || this.#all.size >= this.#limit) {
      this.#waiting.add(exchange);
      return;
    }
    exchange.startOn(this.#open());
  }

  forget(exchange: PooledExchange): void {
    this.#waiting.delete(exchange);
  }

  settles(connection: HttpConnection): void {
    this.#settling.add(connection);
  }

  freed(connection: HttpConnection): void {
    this.#settling.delete(connection);
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#idle.push(connection);
      return;
    }
    this.#waiting.delete(next);
    next.startOn(connection);
  }

  ended(connection: HttpConnection): void {
    this.#all.delete(connection);
    this.#settling.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    const [next] = this.#waiting;
    if (next === undefined || this.#closed) return;
    this.#waiting.delete(next);
    // Not within the end of another: that one has yet to be told.
    queueMicrotask(() => this.take(next));
  }

  #open(): HttpConnection {
    const connection = new HttpConnection(this.#connect, this);
    this.#all.add(connection);
    return connection;
  }
}

function closedError(): BrokenExchangeError {
  return new BrokenExchangeError('ECONNRESET', 'the connections were closed');
}
