import type { HttpConnection, StartedExchange } from './http-connection.ts';
import {
  BrokenExchangeError,
  type HttpPatience,
  type HttpRequest,
  type PendingExchange,
  type Receiver,
} from './http-exchange.ts';

/** What an exchange asks of the pool it is of. */
export interface ExchangeSource {
  take(exchange: PooledExchange, fresh: boolean): void;
  forget(exchange: PooledExchange): void;
  freed(connection: HttpConnection): void;
}

/**
 * An exchange on whichever connection its pool has. Where that one turns out to be dead although
 * it looked kept, it is sent again at once on a new one: no failure of the request.
 */
export class PooledExchange implements StartedExchange, PendingExchange {
  readonly request: HttpRequest;
  readonly receiver: Receiver;
  readonly patience: HttpPatience;
  /** Settles as the exchange does. */
  readonly ended: Promise<void>;
  readonly #source: ExchangeSource;
  #resolve: () => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;
  #connection: HttpConnection | undefined;
  #over = false;
  #sentAgain = false;

  constructor(
    request: HttpRequest,
    receiver: Receiver,
    patience: HttpPatience,
    source: ExchangeSource,
  ) {
    this.request = request;
    this.receiver = receiver;
    this.patience = patience;
    this.#source = source;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get sentAgain(): boolean {
    return this.#sentAgain;
  }

  cancel(reason: unknown): void {
    if (this.#over) return;
    this.#fail(reason);
    this.#source.forget(this);
    this.#connection?.destroy(reason);
  }

  startOn(connection: HttpConnection): void {
    if (this.#over) {
      this.#source.freed(connection);
      return;
    }
    this.#connection = connection;
    connection.start(this);
  }

  done(): void {
    this.#over = true;
    this.#connection = undefined;
    this.#resolve();
  }

  failed(error: unknown): void {
    const connection = this.#connection;
    if (this.#over || connection === undefined) return;
    const silent = error instanceof BrokenExchangeError && error.code === 'ETIMEDOUT';
    if (!this.request.repeatable || this.#sentAgain || !connection.stale || silent) {
      this.#fail(error);
      return;
    }
    this.#sentAgain = true;
    this.#connection = undefined;
    this.#source.take(this, true);
  }

  #fail(reason: unknown): void {
    this.#over = true;
    this.#reject(reason);
  }
}
