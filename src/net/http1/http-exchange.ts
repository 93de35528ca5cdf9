/** One request and its answer, as seen by whoever asks. */

import type { BodySink } from './answer-body.ts';
import type { AnswerHead } from './answer-head.ts';

export interface HttpRequest {
  /** Request line and fields, up to and with the empty line; one byte a character. */
  readonly head: string;
  /** Must not change until the exchange has ended. */
  readonly body?: Uint8Array;
  /** It is a HEAD: its answer has no body. */
  readonly isHead?: boolean;
  /** Doing it twice is the same as once: it may be sent again where a kept connection was dead. */
  readonly repeatable: boolean;
}

/** How patient an exchange is, in ms of real time. */
export interface HttpPatience {
  /** For a connection to come about. */
  readonly connectMs: number;
  /** Nothing came for so long: the receiver is told, and may do something about it. */
  readonly quietMs: number;
  /** Nothing came for so long: the exchange fails with ETIMEDOUT. */
  readonly silenceMs: number;
}

export interface Receiver {
  /** Tells where the body of the answer goes; what it throws ends the exchange. */
  begin(head: AnswerHead): BodySink;
  /** See `HttpPatience.quietMs`. Told once for each silence. */
  quiet?(): void;
}

/** An exchange under way, or waiting for a connection. */
export interface PendingExchange {
  /** Resolves when the sink has the whole body. */
  readonly ended: Promise<void>;
  /** The request was sent twice, and the first may have been done. */
  readonly sentAgain: boolean;
  /** Breaks it off: `ended` rejects with `reason`, and the sink is left alone from now on. */
  cancel(reason: unknown): void;
}

/** The connection broke off or said nothing. `code` as Node names it. */
export class BrokenExchangeError extends Error {
  override readonly name = 'BrokenExchangeError';
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
