/** One endpoint: its options, its connections, and what was learnt of it. */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { HttpPool } from '../net/http1/http-pool.ts';
import type { Network } from '../net/network.ts';
import { breaks } from '../net/network-watch.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { CredentialSource } from '../sts/credential-source.ts';
import { readAnswer } from './answer-document.ts';
import { timeOf } from './answer-fields.ts';
import { CrcKnowledge } from './body-guard.ts';
import { CompletionConditions } from './completion-conditions.ts';
import { LeanSender, type Patience } from './lean-sender.ts';
import type { RangeReading } from './range-reading.ts';
import { DEFAULT_RETRY_BUDGET_MS, RetryBudget } from './retry.ts';
import { type CallOptions, S3Caller } from './s3-caller.ts';
import type { S3Answer, S3Request, Work } from './s3-request.ts';
import { type Addressing, S3Route } from './s3-route.ts';
import { UploadPace } from './upload-pace.ts';
import type { KeepOptions } from './write-headers.ts';

export interface S3Options {
  /** `http://` or `https://`. */
  readonly endpoint: string;
  /** Learnt anew, once, when the answers say that it is another. */
  readonly region: string;
  /**
   * Default 'path'. With 'virtual' the bucket's name goes before the endpoint's in the `Host`
   * header; connections go to the endpoint either way. 'auto': by path, until the server says that
   * it must be otherwise.
   */
  readonly addressing?: Addressing | 'auto';
  /** How the objects are kept that are made here; default: as their bucket says. */
  readonly keep?: KeepOptions;
  /** The one who asks pays, also for a bucket that is not theirs; default false. */
  readonly requesterPays?: boolean;
  readonly credentials: CredentialSource;
  /** Makes the connections. */
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
  /** Connections open at once; default 128. */
  readonly maxConnections?: number;
  /** Of the requests: `wire/0.1.0`. */
  readonly userAgent?: string;
  /**
   * How long the pauses and failed tries of a request may last together; default 90 s while nothing
   * answers, and 30 s of it for a store that answers and cannot serve. A try counts for at most 5 s
   * and there are at least three, unless this is 0: then there is one. The server's `Retry-After` is
   * followed up to 10 s. Credentials that cannot be had for the moment are waited for in the same
   * way. Until the endpoint has answered once, a person waits for it and its address may be wrong:
   * then a connection is waited for 3 s, and tried again for 2 s at most.
   */
  readonly retryBudgetMs?: number;
  /**
   * A connection on which nothing moves for this long is given up; default 10 s. Three times as
   * long while a body is sent, thirty times while the server copies or joins parts by itself.
   */
  readonly silenceMs?: number;
  /**
   * A range on which nothing came for this long, and for four times the wait that is usual there,
   * is asked for once more, besides; default 1 s. One request in twenty at most.
   */
  readonly quietMs?: number;
  /** For the pauses between tries; in [0, 1). */
  readonly random?: () => number;
}

/** Reads and writes together, both of which have limits of their own below it. */
const DEFAULT_MAX_CONNECTIONS = 128;
const DEFAULT_SILENCE_MS = 10_000;
const CONNECT_MS = 10_000;
/** For an address at which nothing has answered yet: TCP asks again once, after a second. */
const FIRST_CONNECT_MS = 3_000;

/** Times `silenceMs`. CopyObject and CompleteMultipartUpload may take minutes without a byte. */
const silences: Readonly<Record<Work, number>> = { answers: 1, receives: 3, copies: 30 };

export class S3Connection implements AsyncDisposable {
  readonly #options: S3Options;
  readonly #pool: HttpPool;
  readonly #watching: Disposable;
  readonly #caller: S3Caller;
  readonly #lean: LeanSender;
  readonly #pace = new UploadPace();
  /** What it does with the CRC-32 of a body. */
  readonly crc: CrcKnowledge;
  readonly completionConditions: CompletionConditions = new CompletionConditions();

  constructor(options: S3Options) {
    this.#options = options;
    const { network, endpoint, credentials, clock, log } = options;
    const { maxConnections = DEFAULT_MAX_CONNECTIONS, requesterPays = false } = options;
    const route = new S3Route(options);
    const secure = endpoint.startsWith('https:');
    this.crc = new CrcKnowledge(secure);
    this.#pool = new HttpPool((reading) => network.connect(endpoint, reading), maxConnections);
    this.#watching = network.onChange((change) => {
      this.#pool.dropDead((socket) => breaks(socket, change));
    });
    this.#caller = new S3Caller({
      ...{ credentials, clock, log, route },
      retryBudget: () => this.#retryBudget(),
      // What broke one connection may have broken the others, and a retry would find each in turn.
      dropIdle: () => this.#pool.dropIdle(),
    });
    this.#lean = new LeanSender({
      ...{ pool: this.#pool, route, clock, secure, requesterPays },
      patience: (work) => this.#patienceFor(work),
      quietMs: options.quietMs,
      userAgent: options.userAgent ?? 'wire',
      meet: () => this.#caller.meet(),
    });
  }

  get endpoint(): string {
    return this.#options.endpoint;
  }

  /**
   * Reads what is missing of `reading`, taken up where it stopped as often as that may help.
   *
   * @throws StoreError; `signal.reason` once `signal` aborts.
   */
  async read(reading: RangeReading, signal: AbortSignal): Promise<ObjectVersion> {
    return await this.#caller.call(
      reading.target.tried,
      async (lease) => await this.#lean.read(reading, lease, signal),
      signal,
      { progress: () => reading.at },
    );
  }

  /**
   * What `read` makes of the answer to `request`, asked for again while that may help. `tried` is a
   * clause for people.
   *
   * @throws StoreError; `signal.reason` once `signal` aborts.
   */
  async send<T>(
    tried: string,
    request: S3Request,
    read: (answer: S3Answer) => T,
    signal: AbortSignal,
    options: CallOptions<T> = {},
  ): Promise<T> {
    const bytes = request.body?.bytes.byteLength ?? 0;
    const { clock } = this.#options;
    return await this.#caller.call(
      tried,
      async (lease) => {
        const startedMs = clock.monotonic();
        const answer = await this.#lean.send(request, lease, signal);
        this.#pace.note(bytes, clock.monotonic() - startedMs);
        return readAnswer(tried, answer, read);
      },
      signal,
      { wantedMs: () => this.#pace.wantedMs(bytes), ...options },
    );
  }

  /** When `answer` was given, by its server; else by our clock. */
  dateMs({ headers }: S3Answer): number {
    return timeOf(headers.get('date'), this.#options.clock.now());
  }

  get keep(): KeepOptions {
    return this.#options.keep ?? {};
  }

  /** Ends every connection; requests under way fail. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#caller.close();
    this.#watching[Symbol.dispose]();
    this.#pool.destroy();
    return Promise.resolve();
  }

  /** A budget for the retries of one request. */
  #retryBudget(): RetryBudget {
    const { clock, random = Math.random, retryBudgetMs = DEFAULT_RETRY_BUDGET_MS } = this.#options;
    return new RetryBudget({ clock, random, budgetMs: retryBudgetMs });
  }

  /** From the first answer on, connections are waited for longer. */
  #patienceFor(work: Work): Patience {
    const silenceMs = (this.#options.silenceMs ?? DEFAULT_SILENCE_MS) * silences[work];
    return { connectMs: this.#caller.met ? CONNECT_MS : FIRST_CONNECT_MS, silenceMs };
  }
}
