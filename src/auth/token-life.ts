/** When an access token is still worth using: pure. */

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
