/** When to renew a lease: pure. */

/** Parts of a lease after which it is renewed; spread, so that many mounts do not ask at once. */
const RENEW_AT = 0.75;
const RENEW_SPREAD = 0.1;

/** The last part of a lease is not handed out: a request must be done before its end. */
const RESERVE_MS = 30_000;
const RESERVE_SHARE = 0.1;

const RETRY_FLOOR_MS = 250;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 60_000;

/** How often somebody looks whether there is a new login, once the login has ended. */
export const LOGIN_POLL_MS = 1000;

/** A lease as one moment sees it. */
export interface LeaseView {
  readonly lifeMs: number;
  readonly leftMs: number;
  /** Age at which it is due, from `renewalAgeMs`. */
  readonly renewAtAgeMs: number;
}

/** Renewals that failed since the last success. */
export interface Failures {
  readonly count: number;
  /** Since the last of them, ms. */
  readonly sinceMs: number;
  /** How long to wait after it, from `retryDelayMs`. */
  readonly delayMs: number;
}

/**
 * - `serve`: hand out the lease
 * - `serve-and-renew`: hand it out, and see to its renewal meanwhile
 * - `renew`: nothing to hand out before a renewal
 * - `refuse`: a renewal has just failed; answer with its error instead of asking again
 */
export type RenewalStep = 'serve' | 'serve-and-renew' | 'renew' | 'refuse';

/** A login that has ended, as one moment sees it. */
export interface EndedLogin {
  /** Since its source last said so, ms. */
  readonly sinceMs: number;
  /** Whether what is stored of logins has changed since; undefined where that cannot be seen. */
  readonly changed: boolean | undefined;
}

/**
 * Whether to ask the source of an ended login again before its pause is over. Where one can see
 * that nothing was stored since, asking would only trouble the provider.
 */
export function mayLogInAgain({ sinceMs, changed }: EndedLogin): boolean {
  if (changed === undefined) return sinceMs >= LOGIN_POLL_MS;
  return changed && sinceMs >= RETRY_FLOOR_MS;
}

/**
 * The pause after a login was found to have ended, where a new one will be seen: only what happens
 * at the provider (a person enabled again) is missed meanwhile. `random` is in [0, 1).
 */
export function endedDelayMs(random: number): number {
  return (RETRY_MAX_MS * (1 + random)) / 2;
}

/** What to do for somebody who needs credentials now. */
export function stepFor(lease: LeaseView | undefined, failures: Failures): RenewalStep {
  const resting = failures.count > 0 && failures.sinceMs < failures.delayMs;
  if (lease !== undefined && lease.leftMs > reserveMs(lease.lifeMs)) {
    const due = lease.lifeMs - lease.leftMs >= lease.renewAtAgeMs;
    return due && !resting ? 'serve-and-renew' : 'serve';
  }
  // People and programs that wait get an attempt each second, however long the pauses have grown.
  const justFailed =
    failures.count > 0 && failures.sinceMs < Math.min(failures.delayMs, RETRY_MIN_MS);
  return justFailed ? 'refuse' : 'renew';
}

/**
 * Whether to renew before a request that needs the lease for `wantedMs`. Never in its first half: a
 * new one would hardly be longer. Nor after a failure, until its pause is over.
 */
export function endsTooSoon(lease: LeaseView, wantedMs: number, failures: Failures): boolean {
  const resting = failures.count > 0 && failures.sinceMs < failures.delayMs;
  return !resting && lease.leftMs < wantedMs && lease.leftMs < lease.lifeMs / 2;
}

/** A lease that the store refuses. */
export interface RefusedLease {
  readonly ageMs: number;
  /** How many leases in a row, this one included, were made because the store refused the one before. */
  readonly forced: number;
  /** Age before which it is not renewed for a refusal, from `retryDelayMs`; 0 unless `forced`. */
  readonly restMs: number;
}

/**
 * Whether a refused lease is renewed at once. Where the one made after a refusal is refused too,
 * another would hardly help: the next waits, ever longer.
 */
export function mayForce({ ageMs, restMs }: RefusedLease): boolean {
  return ageMs >= restMs;
}

/** `forced` of the lease that replaces a refused one: one that served for a minute starts anew. */
export function forcedAfter({ ageMs, forced }: RefusedLease): number {
  return ageMs >= RETRY_MAX_MS ? 1 : forced + 1;
}

/** Milliseconds until the background renews, zero if it should now. */
export function renewalWaitMs(lease: LeaseView | undefined, failures: Failures): number {
  const retry = failures.count > 0 ? failures.delayMs - failures.sinceMs : 0;
  const due = lease === undefined ? 0 : lease.renewAtAgeMs - (lease.lifeMs - lease.leftMs);
  return Math.max(retry, due, 0);
}

/** Age at which a lease of `lifeMs` is renewed: 70 to 80 %. `random` is in [0, 1). */
export function renewalAgeMs(lifeMs: number, random: number): number {
  return lifeMs * (RENEW_AT + (random - 0.5) * RENEW_SPREAD);
}

/** How long before its end a lease is no longer handed out. */
export function reserveMs(lifeMs: number): number {
  return Math.min(RESERVE_MS, lifeMs * RESERVE_SHARE);
}

/**
 * Pause after the `count`-th failure in a row: full jitter below a doubling bound, so that a
 * server that comes back is not met by everybody at once. `random` is in [0, 1).
 */
export function retryDelayMs(count: number, random: number): number {
  const bound = Math.min(RETRY_MIN_MS * 2 ** Math.min(count - 1, 10), RETRY_MAX_MS);
  return Math.max(RETRY_FLOOR_MS, random * bound);
}
