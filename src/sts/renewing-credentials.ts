/**
 * Temporary credentials that renew themselves: in the background when most of the lease is over,
 * and on demand. One renewal runs at a time; while one fails, the old lease is used to its end.
 */

import type { TokenSource } from '../auth/token-source.ts';
import type { Clock } from '../lib/clock.ts';
import { Deadline } from '../lib/deadline.ts';
import type { Log } from '../lib/log.ts';
import { SharedWork } from '../lib/shared-work.ts';
import { WireError } from '../lib/wire-error.ts';
import type { HttpOptions } from '../net/http.ts';
import { type AssumeRoleRequest, requestLease } from './assume-role.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import {
  type Failures,
  forcedAfter,
  type LeaseView,
  mayForce,
  type RefusedLease,
  renewalAgeMs,
  renewalWaitMs,
  retryDelayMs,
  stepFor,
} from './renewal.ts';

export interface RenewingCredentialsOptions extends Omit<AssumeRoleRequest, 'token'> {
  readonly tokens: TokenSource;
  readonly clock: Clock;
  /** In [0, 1): spreads renewals. */
  readonly random: () => number;
  readonly log: Log;
  readonly http?: HttpOptions;
  /** How long callers wait for a new login once the login has ended; default 0. */
  readonly expiryWaitMs?: number;
}

/** For `wire status`. */
export interface RenewalState {
  /** End of the lease by the server's clock, ms since the epoch; absent before the first. */
  readonly expiresAtMs?: number;
  /** Why renewals fail just now, in one line. */
  readonly degraded?: string;
  /** Leases obtained so far. */
  readonly renewals: number;
}

interface HeldLease {
  readonly credentials: Credentials;
  readonly deadline: Deadline;
  readonly renewAtAgeMs: number;
  /** As `RefusedLease`. */
  readonly forced: number;
  readonly restMs: number;
}

interface Failure {
  readonly error: unknown;
  readonly count: number;
  readonly delayMs: number;
  readonly since: Deadline;
}

/** Longest sleep at a time: a laptop that wakes up looks at its lease soon. */
const NAP_MS = 30_000;
/** For the first lease: enough for the trade itself. */
const FIRST_TOKEN_LIFE_MS = 60_000;

export class RenewingCredentials implements CredentialSource, AsyncDisposable {
  readonly #options: RenewingCredentialsOptions;
  readonly #renewal: SharedWork<HeldLease>;
  readonly #closing = new AbortController();
  #lease: HeldLease | undefined;
  /** The lease that the store refused; its replacement is counted as forced. */
  #refused: HeldLease | undefined;
  #failure: Failure | undefined;
  #renewals = 0;
  #background: Promise<void> | undefined;

  constructor(options: RenewingCredentialsOptions) {
    this.#options = options;
    this.#renewal = new SharedWork(async (signal) => await this.#renewOnce(signal));
  }

  get state(): RenewalState {
    const lease = this.#lease;
    return {
      renewals: this.#renewals,
      ...(lease === undefined ? {} : { expiresAtMs: lease.credentials.expiresAtMs }),
      ...(this.#failure === undefined ? {} : { degraded: lineOf(this.#failure.error) }),
    };
  }

  async credentials(signal: AbortSignal): Promise<Credentials> {
    signal.throwIfAborted();
    const lease = this.#lease;
    const step = stepFor(this.#view(), this.#failures());
    if (lease !== undefined && step === 'serve') return lease.credentials;
    if (lease !== undefined && step === 'serve-and-renew') {
      this.#renewal.run(this.#closing.signal).catch(() => undefined); // recorded as #failure
      return lease.credentials;
    }
    if (step === 'refuse') return this.#lastResort(this.#failure?.error);
    try {
      return (await this.#renewal.run(signal)).credentials;
    } catch (error) {
      signal.throwIfAborted();
      return this.#lastResort(error);
    }
  }

  /**
   * As `CredentialSource`. A lease that was itself made after a refusal, and is refused again, is
   * not renewed at once: the pauses grow from a second to a minute.
   *
   * @throws also WireError `credentials-expired` during such a pause.
   */
  async renew(refused: Credentials, signal: AbortSignal): Promise<Credentials> {
    signal.throwIfAborted();
    const current = this.#lease;
    if (current !== undefined && current.credentials.accessKeyId !== refused.accessKeyId) {
      if (current.deadline.leftMs() > 0) return current.credentials;
    } else if (current !== undefined) {
      if (!mayForce(refusedLease(current))) throw refusedAgain(this.#options.endpoint);
      this.#refused = current;
    }
    if (stepFor(undefined, this.#failures()) === 'refuse') throw this.#failure?.error;
    return (await this.#renewal.run(signal)).credentials;
  }

  /** Stops the background and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the credentials were closed'));
    await this.#background;
  }

  /** The reserve of a lease is better than an error, when there is nothing else. */
  #lastResort(error: unknown): Credentials {
    const lease = this.#lease;
    if (lease !== undefined && lease.deadline.leftMs() > 0) return lease.credentials;
    throw error;
  }

  async #keepRenewing(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      try {
        const waitMs = renewalWaitMs(this.#view(), this.#failures());
        if (waitMs > 0) await clock.sleep(Math.min(waitMs, NAP_MS), signal);
        else await this.#renewal.run(signal);
      } catch {
        // Closing, or a failure that #renewOnce has recorded: its delay is the next wait.
      }
    }
  }

  async #renewOnce(signal: AbortSignal): Promise<HeldLease> {
    const { tokens, clock, random, log, http } = this.#options;
    try {
      // A lease may end with its token (MinIO): a token that is nearly over gives a lease that is.
      const wantedMs = this.#lease?.deadline.lifeMs ?? FIRST_TOKEN_LIFE_MS;
      const { token } = await tokens.accessToken(wantedMs, signal);
      const request = { ...this.#options, token };
      const { credentials, lifeMs } = await requestLease(request, { ...http, clock }, signal);
      if (lifeMs <= 0) throw endedBefore(this.#options.endpoint);
      const renewAtAgeMs = renewalAgeMs(lifeMs, random());
      const deadline = new Deadline(clock, lifeMs);
      this.#lease = { credentials, deadline, renewAtAgeMs, ...this.#rest() };
      this.#renewals += 1;
      if (this.#failure !== undefined) log.info('credentials are renewed again');
      this.#failure = undefined;
      // The first lease is its asker's business; from then on there is one to keep.
      if (!this.#closing.signal.aborted) {
        this.#background ??= this.#keepRenewing(this.#closing.signal);
      }
      log.debug('credentials renewed', { lifeMs, expiresAtMs: credentials.expiresAtMs });
      return this.#lease;
    } catch (error) {
      if (!signal.aborted) this.#recordFailure(error);
      throw error;
    }
  }

  /** How long the next lease rests when it is refused in its turn. */
  #rest(): Pick<HeldLease, 'forced' | 'restMs'> {
    const refused = this.#refused;
    this.#refused = undefined;
    if (refused === undefined || refused !== this.#lease) return { forced: 0, restMs: 0 };
    const forced = forcedAfter(refusedLease(refused));
    return { forced, restMs: retryDelayMs(forced, this.#options.random()) };
  }

  #recordFailure(error: unknown): void {
    const { clock, random, log } = this.#options;
    const count = (this.#failure?.count ?? 0) + 1;
    if (count === 1) log.warn('credentials cannot be renewed', { error });
    const delayMs = retryDelayMs(count, random());
    this.#failure = { error, count, delayMs, since: new Deadline(clock, 0) };
  }

  #view(): LeaseView | undefined {
    const lease = this.#lease;
    if (lease === undefined) return undefined;
    const { deadline, renewAtAgeMs } = lease;
    return { lifeMs: deadline.lifeMs, leftMs: deadline.leftMs(), renewAtAgeMs };
  }

  #failures(): Failures {
    const failure = this.#failure;
    if (failure === undefined) return { count: 0, sinceMs: 0, delayMs: 0 };
    return { count: failure.count, delayMs: failure.delayMs, sinceMs: -failure.since.leftMs() };
  }
}

function refusedLease({ deadline, forced, restMs }: HeldLease): RefusedLease {
  return { ageMs: deadline.lifeMs - deadline.leftMs(), forced, restMs };
}

function refusedAgain(endpoint: string): WireError {
  return new WireError('credentials-expired', {
    tried: `use temporary credentials from ${new URL(endpoint).host}`,
    answered: 'the store refuses them though they were only just made',
    next: 'check that this STS makes credentials for that store',
  });
}

function lineOf(error: unknown): string {
  return error instanceof WireError ? error.toLine() : String(error);
}

function endedBefore(endpoint: string): WireError {
  return new WireError('identity-refused', {
    tried: `get temporary credentials from ${new URL(endpoint).host}`,
    answered: 'they had expired before they came',
    next: "compare the server's clock with the provider's",
  });
}
