/** One endpoint: its options, its connections, and the two ways by which requests reach it. */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { dropIdle } from '../net/agents.ts';
import { HttpPool } from '../net/http1/http-pool.ts';
import type { Network } from '../net/network.ts';
import { breaks } from '../net/network-watch.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { CredentialSource } from '../sts/credential-source.ts';
import { readAnswer } from './answer-document.ts';
import { type DocumentRequest, LeanSender } from './lean-sender.ts';
import type { RangeReading } from './range-reading.ts';
import { DEFAULT_RETRY_BUDGET_MS, RetryBudget } from './retry.ts';
import { type CallOptions as RetryOptions, S3Caller } from './s3-caller.ts';
import type { Patience } from './s3-client.ts';
import { type Addressing, S3Route } from './s3-route.ts';
import { type S3Request, SdkSender, type Work } from './sdk-sender.ts';

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
  /** The one who asks pays, also for a bucket that is not theirs; default false. */
  readonly requesterPays?: boolean;
  readonly credentials: CredentialSource;
  /** Makes the connections. */
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
  /** Connections open at once, for ranged reads and for all else each; default 64. */
  readonly maxConnections?: number;
  /** Added to the SDK's own: `wire/0.1.0`. */
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

export interface CallOptions<T> extends RetryOptions<T> {
  /** Default 'answers'. */
  readonly work?: Work;
}

const DEFAULT_MAX_CONNECTIONS = 64;
const DEFAULT_SILENCE_MS = 10_000;
const CONNECT_MS = 10_000;
/** For an address at which nothing has answered yet: TCP asks again once, after a second. */
const FIRST_CONNECT_MS = 3_000;

/** Times `silenceMs`. CopyObject and CompleteMultipartUpload may take minutes without a byte. */
const silences: Readonly<Record<Work, number>> = { answers: 1, receives: 3, copies: 30 };

export class S3Connection implements AsyncDisposable {
  readonly #options: S3Options;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #pool: HttpPool;
  readonly #watching: Disposable;
  readonly #caller: S3Caller;
  readonly #sdk: SdkSender;
  readonly #lean: LeanSender;

  constructor(options: S3Options) {
    this.#options = options;
    const { network, endpoint, credentials, clock, log } = options;
    const { maxConnections = DEFAULT_MAX_CONNECTIONS, requesterPays = false } = options;
    const route = new S3Route(options);
    this.#agent = network.agentFor(endpoint, maxConnections);
    this.#pool = new HttpPool((reading) => network.connect(endpoint, reading), maxConnections);
    this.#watching = network.onChange((change) => {
      this.#pool.dropDead((socket) => breaks(socket, change));
    });
    this.#caller = new S3Caller({
      ...{ credentials, clock, log, route },
      retryBudget: () => this.#retryBudget(),
      dropIdle: () => this.#dropIdle(),
    });
    const patienceFor = (work: Work): Patience => this.#patienceFor(work);
    this.#sdk = new SdkSender(options, this.#agent, this.#caller, patienceFor);
    this.#lean = new LeanSender({
      ...{ pool: this.#pool, route, clock, requesterPays },
      secure: endpoint.startsWith('https:'),
      patience: () => this.#patienceFor('answers'),
      quietMs: options.quietMs,
      userAgent: options.userAgent ?? 'wire',
      meet: () => this.#caller.meet(),
    });
  }

  get endpoint(): string {
    return this.#options.endpoint;
  }

  /**
   * Does `request`, again while that may help. `tried` is a clause for people.
   *
   * @throws StoreError; `signal.reason` once `signal` aborts.
   */
  async call<T>(
    tried: string,
    request: S3Request<T>,
    signal: AbortSignal,
    options: CallOptions<T> = {},
  ): Promise<T> {
    const { work = 'answers' } = options;
    return await this.#caller.call(
      tried,
      async (lease) => await this.#sdk.send(request, work, lease, signal),
      signal,
      options,
    );
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
   * The whole answer to `request`, as `read` makes of it, asked for again while that may help.
   *
   * @throws StoreError; `signal.reason` once `signal` aborts.
   */
  async document<T>(
    tried: string,
    request: DocumentRequest,
    read: (document: Buffer) => T,
    signal: AbortSignal,
  ): Promise<T> {
    return await this.#caller.call(
      tried,
      async (lease) => readAnswer(tried, await this.#lean.document(request, lease, signal), read),
      signal,
    );
  }

  /** The Date of the answer that became `output`, ms since the epoch; else our clock's time. */
  dateMs(output: object): number {
    return this.#sdk.dateMs(output) ?? this.#options.clock.now();
  }

  /** Ends every connection; requests under way fail. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#caller.close();
    this.#watching[Symbol.dispose]();
    this.#agent.destroy();
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

  /** What broke one connection may have broken the others, and a retry would find each in turn. */
  #dropIdle(): void {
    dropIdle(this.#agent);
    this.#pool.dropIdle();
  }
}
