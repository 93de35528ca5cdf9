/** An answer that is read whole into memory, within bounds. */
import { KiB, MiB } from '../lib/bytes.ts';
import type { BodySink } from '../net/http1/answer-body.ts';
import { type AnswerHead, BadAnswerError } from '../net/http1/answer-head.ts';
import type { Receiver } from '../net/http1/http-exchange.ts';
import { ErrorDocument } from './error-document.ts';
import { RefusedError } from './s3-errors.ts';
import type { S3Answer } from './s3-request.ts';

/** A page of a thousand keys, each as long as may be and percent-encoded, has 4 MiB. */
const MOST_BYTES = 32 * MiB;
const FIRST_BYTES = 64 * KiB;

/** Keeps the body of an answer, or what a refusal says. */
export class LeanDocument implements Receiver, BodySink {
  readonly #answered: (head: AnswerHead) => void;
  #head: AnswerHead | undefined;
  #refusal: ErrorDocument | undefined;
  #kept: Buffer = Buffer.alloc(0);
  #bytes = 0;

  constructor(answered: (head: AnswerHead) => void) {
    this.#answered = answered;
  }

  begin(head: AnswerHead): BodySink {
    this.#answered(head);
    this.#head = head;
    if (head.status < 200 || head.status > 299) {
      this.#refusal = new ErrorDocument(head);
      return this.#refusal;
    }
    const { framing } = head;
    const promised = framing.by === 'length' ? framing.bytes : FIRST_BYTES;
    if (promised > MOST_BYTES) throw tooLong();
    this.#kept = Buffer.allocUnsafeSlow(promised);
    return this;
  }

  /** @throws BadAnswerError */
  room(): Uint8Array {
    if (this.#bytes === this.#kept.length) {
      if (this.#bytes >= MOST_BYTES) throw tooLong();
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#bytes * 2, MOST_BYTES));
      this.#kept.copy(larger);
      this.#kept = larger;
    }
    return this.#kept.subarray(this.#bytes);
  }

  filled(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * The answer, when all of it has come.
   *
   * @param sentAgain the request was sent twice.
   * @throws RefusedError
   */
  finish(sentAgain: boolean): S3Answer {
    if (this.#head === undefined) throw new BadAnswerError('no answer');
    if (this.#refusal !== undefined) {
      throw new RefusedError({ ...this.#refusal.failure(), sentAgain });
    }
    const { status, headers } = this.#head;
    return { status, headers, body: this.#kept.subarray(0, this.#bytes) };
  }
}

function tooLong(): BadAnswerError {
  return new BadAnswerError(`an answer of more than ${MOST_BYTES / MiB} MiB`);
}
