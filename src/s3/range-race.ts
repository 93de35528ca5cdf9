/**
 * One try of a ranged read. Where nothing comes for long, what is missing is asked for once more;
 * the first of the two to deliver goes on, and the other is ended before it could touch the sink.
 */
import type { BodySink } from '../net/http1/answer-body.ts';
import type { AnswerHead } from '../net/http1/answer-head.ts';
import type { PendingExchange, Receiver } from '../net/http1/http-exchange.ts';
import { ErrorDocument } from './error-document.ts';
import { RangeAnswer } from './range-answer.ts';
import type { RangeReading } from './range-reading.ts';
import type { Lease } from './s3-caller.ts';
import { RefusedError } from './s3-errors.ts';

/** What a race asks of the one who sends. */
export interface RaceSender {
  /** Asks for what is missing. */
  ask(reading: RangeReading, receiver: Receiver, lease: Lease): PendingExchange;
  /** Whether one more request may be made because nothing comes. */
  mayAskAgain(): boolean;
  now(): number;
  /** The longest that an answer has kept its reader waiting, in ms. */
  waited(ms: number): void;
  /** An answer came, of whatever kind. */
  answered(head: AnswerHead): void;
  /** Nothing speaks against ETags being MD5s. */
  readonly etagsAreMd5: boolean;
  /** `value` is the MD5 of an object, and not its ETag: whether it was so before, of the same read. */
  deniesEtag(reading: RangeReading, value: string): boolean;
}

/** Resolves when nothing is missing. Rejects with what the last of the two has met. */
export async function raceFor(
  reading: RangeReading,
  sender: RaceSender,
  lease: Lease,
  signal: AbortSignal,
): Promise<void> {
  const race = new RangeRace(reading, sender, lease);
  const onAbort = (): void => race.cancel(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    race.start();
    await race.done;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

const NO_ROOM = new Uint8Array(0);

class RangeRace {
  readonly done: Promise<void>;
  readonly reading: RangeReading;
  readonly sender: RaceSender;
  readonly lease: Lease;
  readonly #running = new Set<Runner>();
  #resolve: () => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;

  constructor(reading: RangeReading, sender: RaceSender, lease: Lease) {
    this.reading = reading;
    this.sender = sender;
    this.lease = lease;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  start(): void {
    const runner = new Runner(this);
    this.#running.add(runner);
    runner.run().then(
      () => {
        this.#running.delete(runner);
        this.#resolve();
      },
      (error: unknown) => {
        const was = this.#running.delete(runner);
        if (was && this.#running.size === 0) this.#reject(error);
      },
    );
  }

  cancel(reason: unknown): void {
    this.#reject(reason);
    for (const runner of this.#running) runner.cancel(reason);
    this.#running.clear();
  }

  /** `winner` has bytes: from here on it runs alone. */
  delivers(winner: Runner): void {
    if (this.#running.size === 1) return;
    for (const runner of this.#running) {
      if (runner === winner) continue;
      this.#running.delete(runner);
      runner.cancel(new Error('another answer was quicker'));
    }
  }

  quiet(): void {
    if (this.#running.size === 1 && this.sender.mayAskAgain()) this.start();
  }
}

/** One of the two. */
class Runner implements Receiver, BodySink {
  readonly #race: RangeRace;
  readonly #exchange: PendingExchange;
  #refusal: ErrorDocument | undefined;
  #answer: RangeAnswer | undefined;
  #lastMs: number;
  #longestMs = 0;

  constructor(race: RangeRace) {
    this.#race = race;
    this.#lastMs = race.sender.now();
    this.#exchange = race.sender.ask(race.reading, this, race.lease);
  }

  async run(): Promise<void> {
    await this.#exchange.ended;
    if (this.#refusal !== undefined) throw new RefusedError(this.#refusal.failure());
    this.#race.sender.waited(this.#longestMs);
    this.#answer?.finish();
  }

  cancel(reason: unknown): void {
    this.#exchange.cancel(reason);
  }

  begin(head: AnswerHead): BodySink {
    this.#race.sender.answered(head);
    if (head.status !== 200 && head.status !== 206) {
      this.#refusal = new ErrorDocument(head);
      return this.#refusal;
    }
    const { reading, sender } = this.#race;
    this.#answer = new RangeAnswer(reading, head, reading.accept(head), sender.etagsAreMd5, (md5) =>
      sender.deniesEtag(reading, md5),
    );
    return this;
  }

  quiet(): void {
    this.#race.quiet();
  }

  room(): Uint8Array {
    return this.#answer?.room() ?? NO_ROOM;
  }

  filled(bytes: number): void {
    const nowMs = this.#race.sender.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#race.delivers(this);
    this.#answer?.filled(bytes);
  }
}
