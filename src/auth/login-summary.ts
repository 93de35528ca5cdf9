/** A stored login as it may be shown: without secrets. */
import type { AuthContext } from './auth-context.ts';
import { defined } from './login-codec.ts';
import { presentable } from './refusal.ts';
import { endOf } from './token-life.ts';
import type { StoredLogin } from './token-vault.ts';

export interface LoginSummary {
  /** Without a trailing slash. */
  readonly issuer: string;
  /** Fit to be shown. */
  readonly subject: string;
  readonly username?: string;
  readonly groups: readonly string[];
  /** As granted. */
  readonly scopes: readonly string[];
  readonly audience?: string;
  /** Ms since the epoch by our clock; absent when unknown. */
  readonly accessExpiresAtMs?: number;
  /** When the login ends for good, where the provider says so; ms since the epoch. */
  readonly refreshExpiresAtMs?: number;
  /** From when on that end is near enough to be told unasked; ms since the epoch. */
  readonly endNoticeFromMs?: number;
  /** Whether new access tokens can be had without the person. */
  readonly renewable: boolean;
  readonly clientId: string;
}

/** What is stored for `issuer`; undefined when nobody is logged in there. */
export async function loginState(
  issuer: string,
  { vault }: AuthContext,
  signal: AbortSignal,
): Promise<LoginSummary | undefined> {
  const stored = await vault.load(issuer, signal);
  return stored === undefined ? undefined : summaryOf(stored);
}

/** Everybody who is logged in, in the order of the logins. */
export async function logins(
  { vault }: AuthContext,
  signal: AbortSignal,
): Promise<readonly LoginSummary[]> {
  const stored = await vault.list(signal);
  return stored.map(summaryOf).filter((summary) => summary !== undefined);
}

/** Undefined for a client whose person has logged out. */
export function summaryOf({ issuer, client, grant }: StoredLogin): LoginSummary | undefined {
  if (grant === undefined) return undefined;
  const { subject, groups, scopes, username, audience, refreshExpiresAtMs, access } = grant;
  const accessExpiresAtMs = access.expiresAtMs;
  return {
    issuer,
    subject: presentable(subject, []),
    groups,
    scopes,
    renewable: grant.refreshToken !== undefined,
    clientId: client.id,
    ...defined({
      username,
      audience,
      accessExpiresAtMs,
      refreshExpiresAtMs,
      endNoticeFromMs: endOf(grant)?.noticeFromMs,
    }),
  };
}
