/** When tokens are still worth using, and when their end is worth a word: pure. */
import type { Clock } from '../lib/clock.ts';
import type { StoredAccess, StoredGrant } from './token-vault.ts';

/** Enough for the request it is for, and for clocks that differ a little. */
const MARGIN_MS = 120_000;
const MARGIN_SHARE = 0.2;

/** Nobody said how long it lives: such a token is asked for anew this often. */
export const UNKNOWN_LIFE_MS: number = 5 * 60_000;

/**
 * Whether a token with `leftMs` of its whole `lifeMs` will do for somebody who needs `minLifeMs`.
 * A provider's tokens may be shorter than anybody needs: half of a life is the most to insist on,
 * or each request would fetch a new one.
 */
export function isLivelyEnough(leftMs: number, lifeMs: number, minLifeMs: number): boolean {
  const margin = Math.min(MARGIN_MS, lifeMs * MARGIN_SHARE);
  return leftMs > Math.max(margin, Math.min(minLifeMs, lifeMs / 2));
}

/** How long `access` lives in all, ms. */
export function lifeOf({ expiresAtMs, issuedAtMs }: StoredAccess): number {
  return expiresAtMs === undefined ? UNKNOWN_LIFE_MS : expiresAtMs - issuedAtMs;
}

/**
 * How old a stored token is, ms; undefined when nobody can tell: the wall clock was set back behind
 * the token's making. Within one start of the machine its own clock decides beside the wall clock,
 * which may have been set since; the older of both counts.
 */
export function ageOf(
  { issuedAtMs, issuedAtBoot }: StoredAccess,
  clock: Clock,
): number | undefined {
  const byWallMs = clock.now() - issuedAtMs;
  const boot = clock.boot?.();
  if (issuedAtBoot !== undefined && boot?.start === issuedAtBoot.start) {
    const byBootMs = boot.ms - issuedAtBoot.ms;
    // Another container of this machine may count from its own start.
    if (byBootMs >= 0) return Math.max(byBootMs, byWallMs);
  }
  return byWallMs < 0 ? undefined : byWallMs;
}

const DAY_MS = 86_400_000;
const NOTICE_MS = 3 * DAY_MS;
const NOTICE_SHARE = 0.2;

/** When a login ends for good, ms since the epoch by our clock. */
export interface LoginEnd {
  readonly atMs: number;
  /** From when to say so unasked: three days before, or the last fifth of a shorter life. */
  readonly noticeFromMs: number;
}

/** Undefined when nobody knows: most providers' refresh tokens do not tell. */
export function endOf(grant: StoredGrant): LoginEnd | undefined {
  const { access, refreshToken, refreshExpiresAtMs: atMs, refreshIssuedAtMs } = grant;
  if (refreshToken === undefined || atMs === undefined) return undefined;
  const lifeMs = Math.max(atMs - (refreshIssuedAtMs ?? access.issuedAtMs), 0);
  return { atMs, noticeFromMs: atMs - Math.min(NOTICE_MS, lifeMs * NOTICE_SHARE) };
}
