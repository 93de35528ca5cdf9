/**
 * How a request of a store is retried, however it is sent: with the credentials of the moment,
 * again while that may help, once more when the credentials have ended, and once more when the
 * answer told where the bucket really is.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { WireError, type WireErrorKind } from '../lib/wire-error.ts';
import { StoreError, type StoreErrorKind } from '../store/errors.ts';
import type { CredentialSource, Credentials } from '../sts/credential-source.ts';
import { DamagedObjectError } from './range-answer.ts';
import type { Outlook, PauseOptions, RetryBudget } from './retry.ts';
import {
  classify,
  failureOf,
  retryAfterMs,
  SENSELESS,
  toStoreError,
  UNREADABLE_TOKEN,
} from './s3-errors.ts';
import type { RouteState, S3Route } from './s3-route.ts';

export interface CallerParts {
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly route: S3Route;
  /** Makes the budget of a request that has none. */
  readonly retryBudget: () => RetryBudget;
  /** A connection broke: what broke it may have broken the others. */
  readonly dropIdle: () => void;
}

/** What a try of a request is sent with. */
export interface Lease {
  readonly credentials: Credentials;
  readonly route: RouteState;
}

/** One try of a request. */
export type Send<T> = (lease: Lease, signal: AbortSignal) => Promise<T>;

export interface CallOptions<T> {
  /** How long the credentials should be good for a try; default: as those of any request. */
  readonly wantedMs?: () => number | undefined;
  /** Whatever it meets is told at once. */
  readonly once?: boolean;
  /** Sent with If-None-Match: a 412 means that the object exists. */
  readonly mustBeAbsent?: boolean;
  /**
   * How far the request has got, in whatever unit: when a try failed after it had moved, it is as
   * if the request had been begun anew.
   */
  readonly progress?: () => number;
  /**
   * Asked when a request is refused after an earlier try of it got no answer: that try may have
   * been done, and be the very reason of the refusal. Undefined: the refusal stands.
   */
  readonly recover?: (refusal: StoreError) => Promise<T | undefined>;
  /**
   * `recover` is asked after each try that a server answered with trouble of its own: it may always
   * do so once the request is done (Ceph RGW 16).
   */
  readonly recoversFromTrouble?: boolean;
  /** Told of each try that may have been done, and is made again. */
  readonly onLost?: () => void;
}

export class S3Caller {
  readonly #parts: CallerParts;
  #closed = false;
  /** The endpoint has answered: it is there, though it may be away for a while. */
  #met = false;
  /** Had in place of a token that the server seemed not to read: this one it can. */
  #readable: Credentials | undefined;

  constructor(parts: CallerParts) {
    this.#parts = parts;
  }

  get met(): boolean {
    return this.#met;
  }

  /** An answer came, of whatever kind. */
  meet(): void {
    this.#met = true;
  }

  /** Nothing is tried again from here on. */
  close(): void {
    this.#closed = true;
  }

  /**
   * Does `send`, again while that may help. `tried` is a clause for people.
   *
   * @throws StoreError; `signal.reason` once `signal` aborts.
   */
  async call<T>(
    tried: string,
    send: Send<T>,
    signal: AbortSignal,
    options: CallOptions<T> = {},
  ): Promise<T> {
    // One signal may end any number of requests; each takes its listener away when it is done.
    setMaxListeners(0, signal);
    const { mustBeAbsent = false, once = false, progress, recover } = options;
    const { recoversFromTrouble = false } = options;
    const budget = this.#parts.retryBudget();
    const { route } = this.#parts;
    let refused: Credentials | undefined;
    let mayRenew = true;
    /** `refused` has a token that the server seemed not to read. */
    let unreadable = false;
    let inDoubt = false;
    for (;;) {
      let lease: Lease | undefined;
      const before = progress?.();
      try {
        const asked = { refused, wantedMs: options.wantedMs?.() };
        const credentials = await this.#credentials(tried, asked, signal);
        refused = undefined;
        if (unreadable) this.#readable = credentials;
        unreadable = false;
        lease = { credentials, route: route.state };
        return await send(lease, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (progress !== undefined && progress() !== before) {
          budget.renew();
          mayRenew = true;
        }
        const judgement = this.#judge(tried, error, lease, { mustBeAbsent, mayRenew });
        const { refusal, retry, rerouted, answered } = judgement;
        if (lease !== undefined && refusal.kind === 'credentials-expired' && mayRenew) {
          mayRenew = false;
          refused = lease.credentials;
          unreadable = judgement.unreadable;
          continue;
        }
        if (rerouted) continue;
        inDoubt ||= judgement.sentAgain;
        if (!retry || once || this.#closed)
          return await recoverOr(refusal, inDoubt ? recover : undefined);
        inDoubt ||= !answered;
        if (!answered) options.onLost?.();
        const troubled = recoversFromTrouble && (refusal.detail.status ?? 0) >= 500;
        const recovered = troubled ? await recover?.(refusal) : undefined;
        if (recovered !== undefined) return recovered;
        await budget.pause(refusal, signal, judgement);
      }
    }
  }

  /** `lease` undefined: there were no credentials to send the request with. */
  #judge(
    tried: string,
    error: unknown,
    lease: Lease | undefined,
    { mustBeAbsent, mayRenew }: { readonly mustBeAbsent: boolean; readonly mayRenew: boolean },
  ): Judgement {
    const plain = { rerouted: false, unreadable: false, sentAgain: false };
    if (error instanceof StoreError) {
      const outlook = lease === undefined ? 'away' : 'busy';
      // An answer that makes no sense may have been the answer to work that was done.
      const answered = lease === undefined;
      return { ...plain, refusal: error, retry: isPassing(error), answered, outlook };
    }
    if (lease === undefined) throw error;
    const { clock, log, route, dropIdle } = this.#parts;
    const { credentials } = lease;
    const failure = failureOf(error);
    const leaseEnded = clock.now() >= credentials.expiresAtMs;
    const hasToken = credentials.sessionToken.reveal() !== '';
    const tokenInDoubt = hasToken && mayRenew && this.#readable !== credentials;
    const { kind, retry } = classify(failure, { leaseEnded, mustBeAbsent, tokenInDoubt });
    const { code, status } = failure;
    if (status === undefined) dropIdle();
    else this.meet();
    const rerouted = route.learn(failure, lease.route);
    log.debug('store request failed', { tried, code, status, kind, retry: retry || rerouted });
    return {
      refusal: toStoreError(kind, tried, failure, error),
      retry,
      rerouted,
      sentAgain: failure.sentAgain === true,
      unreadable: kind === 'credentials-expired' && code === UNREADABLE_TOKEN,
      // A 5xx may be the answer to work that was done all the same.
      answered: status !== undefined && status >= 300 && status < 500,
      outlook: this.#outlook(status === undefined && code !== SENSELESS),
      retryAfterMs: retryAfterMs(failure, clock.now()),
    };
  }

  #outlook(silent: boolean): Outlook {
    if (!silent) return 'busy';
    return this.#met ? 'away' : 'doubtful';
  }

  /** Credentials, others than `refused` if those are given. Refusals become the store's. */
  async #credentials(
    tried: string,
    { refused, wantedMs }: AskedCredentials,
    signal: AbortSignal,
  ): Promise<Credentials> {
    const source = this.#parts.credentials;
    try {
      if (refused !== undefined) return await source.renew(refused, signal);
      if (wantedMs === undefined || source.lasting === undefined) {
        return await source.credentials(signal);
      }
      return await source.lasting(wantedMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof WireError)) throw error;
      const { answered, next } = error.facts;
      const detail = next === undefined ? { code: answered } : { code: answered, next };
      const kind = kindOfNoCredentials[error.kind] ?? 'credentials-expired';
      throw new StoreError(kind, `${tried} (${error.facts.tried})`, detail, { cause: error });
    }
  }
}

interface AskedCredentials {
  readonly refused: Credentials | undefined;
  readonly wantedMs: number | undefined;
}

interface Judgement extends PauseOptions {
  readonly refusal: StoreError;
  readonly retry: boolean;
  /** The same request may be done now: its answer told how. */
  readonly rerouted: boolean;
  /** The refusal may be due to a session token that the server cannot read. */
  readonly unreadable: boolean;
  /** It was sent twice without our knowing what became of the first. */
  readonly sentAgain: boolean;
  /** The server said that it did not do the request. */
  readonly answered: boolean;
}

async function recoverOr<T>(refusal: StoreError, recover: CallOptions<T>['recover']): Promise<T> {
  const recovered = await recover?.(refusal);
  if (recovered === undefined) throw refusal;
  return recovered;
}

/** A refusal found by reading an answer: `unavailable` when the answer made no sense. */
function isPassing(refusal: StoreError): boolean {
  if (refusal instanceof DamagedObjectError) return false;
  return refusal.kind === 'unavailable' || refusal.kind === 'unreachable';
}

/**
 * What the store says when there are no credentials to sign with, by what their source said. Never
 * `access-denied`: the store was not asked, and what it allows is remembered and given up on.
 */
const kindOfNoCredentials: Partial<Record<WireErrorKind, StoreErrorKind>> = {
  'login-expired': 'login-expired',
  unreachable: 'unreachable',
  unavailable: 'unavailable',
};
