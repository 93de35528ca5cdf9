/**
 * One endpoint, and how a request of it is done: signed with the credentials of the moment,
 * retried while that may help, replayed once when the credentials have ended.
 */
import { setMaxListeners } from 'node:events';
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { S3 } from '@aws-sdk/client-s3';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { WireError, type WireErrorKind } from '../lib/wire-error.ts';
import { dropIdle } from '../net/agents.ts';
import type { Network } from '../net/network.ts';
import { StoreError, type StoreErrorKind } from '../store/errors.ts';
import type { CredentialSource, Credentials } from '../sts/credential-source.ts';
import { DEFAULT_RETRY_BUDGET_MS, type PauseOptions, RetryBudget } from './retry.ts';
import { createClient } from './s3-client.ts';
import { classify, failureOf, retryAfterMs, toStoreError } from './s3-errors.ts';

export interface S3Options {
  /** `http://` or `https://`; buckets are addressed by path. */
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: CredentialSource;
  /** Makes the connections. */
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
  /** Connections open at once; default 64. */
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
  /** For the pauses between tries; in [0, 1). */
  readonly random?: () => number;
}

/** How silent the server may be meanwhile: it answers soon, takes a body, or works for minutes. */
export type Work = 'answers' | 'receives' | 'copies';

export interface CallOptions<T> {
  /** Default 'answers'. */
  readonly work?: Work;
  /** Sent with If-None-Match: a 412 means that the object exists. */
  readonly mustBeAbsent?: boolean;
  /** Whose pauses to use: a read that goes on has one for all its requests. */
  readonly budget?: RetryBudget;
  /**
   * Asked when a request is refused after an earlier try of it got no answer: that try may have
   * been done, and be the very reason of the refusal. Undefined: the refusal stands.
   */
  readonly recover?: () => Promise<T | undefined>;
}

/** A request in the SDK's words. */
export type S3Request<T> = (
  client: S3,
  options: { readonly abortSignal: AbortSignal },
) => Promise<T>;

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
  /** The clients that sign with `credentials`, by how long they wait; the agent has their sockets. */
  #signer:
    | { readonly credentials: Credentials; readonly clients: Map<Work, Promise<S3>> }
    | undefined;
  /** The Date header of each answer, by the SDK's output object. */
  readonly #dates = new WeakMap<object, number>();
  #closed = false;
  /** The endpoint has answered: it is there, though it may be away for a while. */
  #met = false;

  constructor(options: S3Options) {
    this.#options = options;
    const { network, endpoint, maxConnections = DEFAULT_MAX_CONNECTIONS } = options;
    this.#agent = network.agentFor(endpoint, maxConnections);
  }

  get endpoint(): string {
    return this.#options.endpoint;
  }

  /** A budget for the retries of one request. */
  retryBudget(): RetryBudget {
    const { clock, random = Math.random, retryBudgetMs = DEFAULT_RETRY_BUDGET_MS } = this.#options;
    return new RetryBudget({ clock, random, budgetMs: retryBudgetMs });
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
    // One signal may end any number of requests; each takes its listener away when it is done.
    setMaxListeners(0, signal);
    const {
      budget = this.retryBudget(),
      mustBeAbsent = false,
      recover,
      work = 'answers',
    } = options;
    let credentials: Credentials | undefined;
    let refused: Credentials | undefined;
    let mayRenew = true;
    let inDoubt = false;
    for (;;) {
      try {
        credentials = undefined;
        credentials = await this.#lease(tried, refused, signal);
        refused = undefined;
        const client = await this.#clientOf(credentials, work);
        return await request(client, { abortSignal: signal });
      } catch (error) {
        signal.throwIfAborted();
        const judgement = this.#judge(tried, error, credentials, mustBeAbsent);
        const { refusal, retry, answered } = judgement;
        if (credentials !== undefined && refusal.kind === 'credentials-expired' && mayRenew) {
          mayRenew = false;
          refused = credentials;
          continue;
        }
        if (!retry || this.#closed) return await recoverOr(refusal, inDoubt ? recover : undefined);
        inDoubt ||= !answered;
        await budget.pause(refusal, signal, judgement);
      }
    }
  }

  /** The Date of the answer that became `output`, ms since the epoch; else our clock's time. */
  dateMs(output: object): number {
    return this.#dates.get(output) ?? this.#options.clock.now();
  }

  /** Ends every connection; requests under way fail. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#agent.destroy();
    return Promise.resolve();
  }

  /** `lease` undefined: there were no credentials to send the request with. */
  #judge(
    tried: string,
    error: unknown,
    lease: Credentials | undefined,
    mustBeAbsent: boolean,
  ): Judgement {
    if (error instanceof StoreError) {
      const outlook = lease === undefined ? 'away' : 'busy';
      return { refusal: error, retry: isPassing(error), answered: true, outlook };
    }
    if (lease === undefined) throw error;
    const { clock, log } = this.#options;
    const failure = failureOf(error);
    const leaseEnded = clock.now() >= lease.expiresAtMs;
    const { kind, retry } = classify(failure, { leaseEnded, mustBeAbsent });
    const { code, status } = failure;
    if (status === undefined) {
      // What broke this connection may have broken the others, and a retry would find each in turn.
      dropIdle(this.#agent);
    } else this.#meet();
    log.debug('store request failed', { tried, code, status, kind, retry });
    const refusal = toStoreError(kind, tried, failure, error);
    // A 5xx may be the answer to work that was done all the same.
    const answered = status !== undefined && status >= 300 && status < 500;
    const silent = this.#met ? 'away' : 'doubtful';
    const outlook = status === undefined ? silent : 'busy';
    return { refusal, retry, answered, outlook, retryAfterMs: retryAfterMs(failure, clock.now()) };
  }

  /** From the first answer on, connections are waited for longer. */
  #meet(): void {
    if (!this.#met) this.#signer = undefined;
    this.#met = true;
  }

  /** Credentials, others than `refused` if those are given. Refusals become the store's. */
  async #lease(
    tried: string,
    refused: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<Credentials> {
    const source = this.#options.credentials;
    try {
      return await (refused === undefined
        ? source.credentials(signal)
        : source.renew(refused, signal));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof WireError)) throw error;
      const { answered, next } = error.facts;
      const detail = next === undefined ? { code: answered } : { code: answered, next };
      const kind = kindOfNoCredentials[error.kind] ?? 'credentials-expired';
      throw new StoreError(kind, `${tried} (${error.facts.tried})`, detail, { cause: error });
    }
  }

  /** Few clients a lease, since the SDK keeps the credentials and the patience it was given. */
  async #clientOf(credentials: Credentials, work: Work): Promise<S3> {
    if (this.#signer?.credentials !== credentials) {
      this.#signer = { credentials, clients: new Map() };
    }
    const { clients } = this.#signer;
    const client = clients.get(work) ?? this.#newClient(credentials, work);
    clients.set(work, client);
    return await client;
  }

  async #newClient(credentials: Credentials, work: Work): Promise<S3> {
    const silenceMs = (this.#options.silenceMs ?? DEFAULT_SILENCE_MS) * silences[work];
    const connectMs = this.#met ? CONNECT_MS : FIRST_CONNECT_MS;
    const patience = { connectMs, silenceMs };
    const client = await createClient(this.#options, this.#agent, credentials, patience);
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        this.#meet();
        const { headers } = result.response as { headers?: Readonly<Record<string, string>> };
        const dateMs = Date.parse(headers?.['date'] ?? '');
        const { output } = result as { output?: object };
        if (output !== undefined && !Number.isNaN(dateMs)) this.#dates.set(output, dateMs);
        return result;
      },
      { step: 'deserialize', priority: 'high', name: 'keepAnswerDate' },
    );
    return client;
  }
}

interface Judgement extends PauseOptions {
  readonly refusal: StoreError;
  readonly retry: boolean;
  /** The server said that it did not do the request. */
  readonly answered: boolean;
}

async function recoverOr<T>(
  refusal: StoreError,
  recover: (() => Promise<T | undefined>) | undefined,
): Promise<T> {
  const recovered = await recover?.();
  if (recovered === undefined) throw refusal;
  return recovered;
}

/** A refusal found by reading an answer: `unavailable` when the answer made no sense. */
function isPassing(refusal: StoreError): boolean {
  return refusal.kind === 'unavailable' || refusal.kind === 'unreachable';
}

/** What the store says when there are no credentials to sign with, by what their source said. */
const kindOfNoCredentials: Partial<Record<WireErrorKind, StoreErrorKind>> = {
  'login-expired': 'login-expired',
  'access-denied': 'access-denied',
  'identity-refused': 'access-denied',
  unreachable: 'unreachable',
  unavailable: 'unavailable',
};
