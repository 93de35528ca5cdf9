/**
 * Temporary credentials that renew themselves: in the background when most of the lease is over,
 * and on demand. One renewal runs at a time; while one fails, the old lease is used to its end.
 *
 * When the login itself has ended, callers wait for a new one for a while; all of them share the
 * background's look at what is stored, and none of them asks the provider.
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
import { LoginWait } from './login-wait.ts';
import { Nap } from './nap.ts';
import type { TokenConcern } from './preflight.ts';
import {
  endedDelayMs,
  endsTooSoon,
  type Failures,
  forcedAfter,
  type LeaseView,
  LOGIN_POLL_MS,
  mayForce,
  mayLogInAgain,
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
  /** What the server let pass of the last token and others would not, each as one line. */
  readonly concerns: readonly string[];
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
  /** The source's `loginMark` from before the attempt. */
  readonly mark: string | undefined;
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
  readonly #loginWait: LoginWait;
  readonly #nap: Nap;
  #lease: HeldLease | undefined;
  /** The lease that the store refused; its replacement is counted as forced. */
  #refused: HeldLease | undefined;
  #failure: Failure | undefined;
  #renewals = 0;
  #concerns: readonly string[] = [];
  #background: Promise<void> | undefined;

  constructor(options: RenewingCredentialsOptions) {
    const { clock, expiryWaitMs = 0 } = options;
    this.#options = options;
    this.#renewal = new SharedWork(async (signal) => await this.#renewOnce(signal));
    this.#loginWait = new LoginWait(clock, expiryWaitMs);
    this.#nap = new Nap(clock);
  }

  get state(): RenewalState {
    const lease = this.#lease;
    return {
      renewals: this.#renewals,
      concerns: this.#concerns,
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
    // The reserve of a lease is better than an error, when there is nothing else.
    const reserve = (): Credentials | undefined =>
      lease !== undefined && lease.deadline.leftMs() > 0 ? lease.credentials : undefined;
    if (this.#loginHasEnded) return reserve() ?? (await this.#awaitLogin(signal));
    if (step === 'refuse') return reserve() ?? raise(this.#failure?.error);
    try {
      return (await this.#renewal.run(signal)).credentials;
    } catch (error) {
      signal.throwIfAborted();
      return reserve() ?? (await this.#awaitLoginAfter(error, signal));
    }
  }

  async lasting(wantedMs: number, signal: AbortSignal): Promise<Credentials> {
    signal.throwIfAborted();
    const lease = this.#view();
    if (lease !== undefined && endsTooSoon(lease, wantedMs, this.#failures())) {
      try {
        return (await this.#renewal.run(signal)).credentials;
      } catch {
        // Recorded as #failure: what is left of the lease may do.
        signal.throwIfAborted();
      }
    }
    return await this.credentials(signal);
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
    if (this.#loginHasEnded) return await this.#awaitLogin(signal);
    if (stepFor(undefined, this.#failures()) === 'refuse') throw this.#failure?.error;
    try {
      return (await this.#renewal.run(signal)).credentials;
    } catch (error) {
      signal.throwIfAborted();
      return await this.#awaitLoginAfter(error, signal);
    }
  }

  /**
   * Looks at the lease now rather than at the end of a pause: time may have passed unseen
   * (a suspended laptop), or what failed may work again (another network).
   */
  checkNow(): void {
    const failure = this.#failure;
    if (failure !== undefined && !this.#loginHasEnded) {
      this.#failure = { ...failure, delayMs: Math.min(failure.delayMs, LOGIN_POLL_MS) };
    }
    this.#nap.wake();
  }

  /** Stops the background and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the credentials were closed'));
    await this.#background;
  }

  /** Only a new login helps. */
  get #loginHasEnded(): boolean {
    return this.#failure !== undefined && isLoginEnd(this.#failure.error);
  }

  /** Whether a new login may be there, as far as one sees without asking the provider. */
  async #mayLogInAgain(): Promise<boolean> {
    const failure = this.#failure;
    if (failure === undefined || !isLoginEnd(failure.error)) return false;
    const mark = await this.#options.tokens.loginMark?.();
    const changed = mark === undefined ? undefined : mark !== failure.mark;
    return mayLogInAgain({ changed, sinceMs: -failure.since.leftMs() });
  }

  async #awaitLoginAfter(error: unknown, signal: AbortSignal): Promise<Credentials> {
    if (!isLoginEnd(error)) throw error;
    return await this.#awaitLogin(signal);
  }

  /** Credentials of a new login, if there is one in time. */
  async #awaitLogin(signal: AbortSignal): Promise<Credentials> {
    const ended = this.#failure?.error;
    if (await this.#mayLogInAgain()) {
      try {
        return (await this.#renewal.run(signal)).credentials;
      } catch (error) {
        signal.throwIfAborted();
        if (!isLoginEnd(error)) throw error;
      }
    }
    // Whoever needs the very first lease can be told to log in, and has nothing to lose.
    if (this.#lease === undefined) throw ended;
    const news = await this.#loginWait.next(signal);
    if (news?.kind === 'renewed') return news.credentials;
    throw news?.error ?? this.#failure?.error ?? ended;
  }

  /** Whether an ended login should be asked for again whatever the pause. */
  async #isWanted(): Promise<boolean> {
    // Where nothing is to be seen, the source is asked for those who wait only.
    const seen = this.#options.tokens.loginMark !== undefined;
    return (seen || this.#loginWait.waiting > 0) && (await this.#mayLogInAgain());
  }

  #waitMs(): number {
    // A lease that the store refused is worth nothing, however much of it is left.
    const lease = this.#refused === this.#lease ? undefined : this.#view();
    return renewalWaitMs(lease, this.#failures());
  }

  async #keepRenewing(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const waitMs = (await this.#isWanted()) ? 0 : this.#waitMs();
        const napMs = this.#loginHasEnded ? LOGIN_POLL_MS : NAP_MS;
        if (waitMs > 0) await this.#nap.sleep(Math.min(waitMs, napMs), signal);
        else await this.#renewal.run(signal);
      } catch {
        // Closing, or a failure that #renewOnce has recorded: its delay is the next wait.
      }
    }
  }

  async #renewOnce(signal: AbortSignal): Promise<HeldLease> {
    const { tokens, clock, random, log, http } = this.#options;
    // Before the attempt: a login that comes meanwhile must not be missed.
    const mark = await tokens.loginMark?.();
    try {
      // A lease may end with its token (MinIO): a token that is nearly over gives a lease that is.
      const wantedMs = this.#lease?.deadline.lifeMs ?? FIRST_TOKEN_LIFE_MS;
      const { token } = await tokens.accessToken(wantedMs, signal);
      const { issuer, ...asked } = this.#options;
      // The provider is asked why for the first refusal of a row.
      const explain = issuer !== undefined && this.#failure === undefined && { issuer };
      const request = { ...asked, token, ...explain };
      const lease = await requestLease(request, { ...http, clock }, signal);
      const { credentials, lifeMs } = lease;
      if (lifeMs <= 0) throw endedBefore(this.#options.endpoint);
      const renewAtAgeMs = renewalAgeMs(lifeMs, random());
      const deadline = new Deadline(clock, lifeMs);
      this.#lease = { credentials, deadline, renewAtAgeMs, ...this.#rest() };
      this.#renewals += 1;
      this.#noteConcerns(lease.concerns);
      if (this.#failure !== undefined) log.info('credentials are renewed again');
      this.#failure = undefined;
      // The first lease is its asker's business; from then on there is one to keep.
      if (!this.#closing.signal.aborted) {
        this.#background ??= this.#keepRenewing(this.#closing.signal);
      }
      log.debug('credentials renewed', { lifeMs, expiresAtMs: credentials.expiresAtMs });
      this.#loginWait.tell({ kind: 'renewed', credentials });
      return this.#lease;
    } catch (error) {
      if (!signal.aborted) this.#recordFailure(error, mark);
      throw error;
    }
  }

  /** Said once, not at each renewal. */
  #noteConcerns(concerns: readonly TokenConcern[]): void {
    const lines = concerns.map(({ text, next }) => `${text}; ${next}`);
    for (const concern of lines) {
      if (!this.#concerns.includes(concern)) this.#options.log.warn('token', { concern });
    }
    this.#concerns = lines;
  }

  /** How long the next lease rests when it is refused in its turn. */
  #rest(): Pick<HeldLease, 'forced' | 'restMs'> {
    const refused = this.#refused;
    this.#refused = undefined;
    if (refused === undefined || refused !== this.#lease) return { forced: 0, restMs: 0 };
    const forced = forcedAfter(refusedLease(refused));
    return { forced, restMs: retryDelayMs(forced, this.#options.random()) };
  }

  #recordFailure(error: unknown, mark: string | undefined): void {
    const { clock, random, log } = this.#options;
    const ended = isLoginEnd(error);
    // Why it fails may change: a login that ends while the provider is down is a story of its own.
    const before = this.#failure;
    const count = before !== undefined && ended === this.#loginHasEnded ? before.count + 1 : 1;
    if (count === 1) log.warn('credentials cannot be renewed', { error });
    const delayMs =
      ended && mark !== undefined ? endedDelayMs(random()) : retryDelayMs(count, random());
    this.#failure = { error, mark, count, delayMs, since: new Deadline(clock, 0) };
    if (!ended) this.#loginWait.tell({ kind: 'failed', error });
    // The background may be asleep until a lease is due that the store refused.
    this.#nap.wake();
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

/** Whether only a new login helps. */
function isLoginEnd(error: unknown): boolean {
  return error instanceof WireError && error.kind === 'login-expired';
}

function raise(error: unknown): never {
  throw error;
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
