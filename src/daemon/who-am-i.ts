/** Who wire is for a command, and why: the chain of token sources and the identity it gives. */
import { decodeJwt } from '../auth/jwt.ts';
import type { Choice, SourceReport } from '../auth/sources/chain.ts';
import type { AccessToken } from '../auth/token-source.ts';
import type { StoredGrant } from '../auth/token-vault.ts';
import type { Settings } from '../config/options.ts';
import type { TokenSourceName } from '../config/values.ts';
import { WireError, type WireErrorKind } from '../lib/wire-error.ts';
import type { Surroundings } from './surroundings.ts';
import { remarksOn } from './token-facts.ts';
import { surveyTokens } from './tokens.ts';

export type { SourceReport } from '../auth/sources/chain.ts';

/** An identity as it may be told: without secrets, and as its tokens tell it. */
export interface IdentityFacts {
  readonly source: TokenSourceName;
  /** For people: `the file /run/token`. */
  readonly place: string;
  readonly issuer?: string;
  /** User name, else the subject; absent where the token does not say. */
  readonly who?: string;
  readonly subject?: string;
  readonly groups: readonly string[];
  readonly audiences: readonly string[];
  readonly scopes: readonly string[];
  /** End of the access token, ms since the epoch. */
  readonly accessUntilMs?: number;
  /** Whether wire gets new access tokens by itself. */
  readonly renewable: boolean;
  /** When a person is needed again, where that is known; ms since the epoch. */
  readonly refreshUntilMs?: number;
  /** What is worth knowing about it. */
  readonly notes: readonly string[];
}

/** Exactly one of `identity` and `failure` is there. */
export interface WhoAmI {
  readonly sources: readonly SourceReport[];
  readonly identity?: IdentityFacts;
  readonly failure?: WireError;
}

/** A source that is chosen and gives no token is told as a failure, beside the chain. */
export async function whoAmI(
  settings: Settings,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<WhoAmI> {
  const { reports: sources, choice, failure } = await surveyTokens(settings, surroundings, signal);
  if (choice === undefined) return { sources, ...(failure !== undefined && { failure }) };
  try {
    return {
      sources,
      identity: await identityOf(choice, settings, surroundings.clock.now(), signal),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    const used = (report: SourceReport): boolean => report.name === choice.name;
    return {
      sources: sources.map((report) =>
        used(report) ? { ...report, state: 'refused', why: error.toLine() } : report,
      ),
      failure: error,
    };
  } finally {
    await choice.source.tokens[Symbol.asyncDispose]?.();
  }
}

async function identityOf(
  choice: Choice,
  { audience }: Settings,
  nowMs: number,
  signal: AbortSignal,
): Promise<IdentityFacts> {
  const { name, source } = choice;
  const kept = name === 'login' ? await source.grant?.(signal) : undefined;
  const { token, trouble } = await currentToken(choice, kept, nowMs, signal);
  const grant = await source.grant?.(signal);
  const access = token ?? storedAccess(grant);
  if (access === undefined) return untold(choice);
  const facts = { ...untold(choice), ...told(access, grant, source.fixed, nowMs) };
  const { expiresAtMs } = access;
  const ended = !facts.renewable && expiresAtMs !== undefined && expiresAtMs <= nowMs;
  const notes = [
    ...source.notes,
    ...remarksOn(access.token, nowMs, audience),
    ...(ended ? ['the login has ended: log in again'] : []),
    ...(trouble === undefined ? [] : [`it cannot be renewed just now: ${trouble.toLine()}`]),
  ];
  return { ...facts, notes };
}

/**
 * A login knows its person: only what nobody has told yet is worth a request. Where its token has
 * ended, nobody has told whether it can be renewed; a provider that is away does not tell either.
 *
 * @throws WireError as the source.
 */
async function currentToken(
  { name, source }: Choice,
  kept: StoredGrant | undefined,
  nowMs: number,
  signal: AbortSignal,
): Promise<{ readonly token?: AccessToken; readonly trouble?: WireError }> {
  if (name === 'login' && !isDoubtful(kept, nowMs)) return {};
  try {
    return { token: await source.tokens.accessToken(0, signal) };
  } catch (error) {
    const passing = error instanceof WireError && passingKinds.has(error.kind);
    if (signal.aborted || name !== 'login' || !passing) throw error;
    return { trouble: error };
  }
}

const passingKinds: ReadonlySet<WireErrorKind> = new Set(['unreachable', 'unavailable']);

/** Whether only its provider knows if a login with a refresh token still gives tokens. */
function isDoubtful(grant: StoredGrant | undefined, nowMs: number): boolean {
  if (grant?.refreshToken === undefined) return false;
  const { expiresAtMs } = grant.access;
  return grant.pending !== undefined || (expiresAtMs !== undefined && expiresAtMs <= nowMs);
}

function untold({ name, source }: Choice): IdentityFacts {
  const { place, issuer, notes, fixed } = source;
  return {
    source: name,
    place,
    groups: [],
    audiences: [],
    scopes: [],
    renewable: !fixed,
    notes,
    ...(issuer !== undefined && { issuer }),
  };
}

function storedAccess(grant: StoredGrant | undefined): AccessToken | undefined {
  if (grant === undefined) return undefined;
  const { token, expiresAtMs } = grant.access;
  return { token, expiresAtMs };
}

function told(
  { token, expiresAtMs }: AccessToken,
  grant: StoredGrant | undefined,
  fixed: boolean,
  nowMs: number,
): Partial<IdentityFacts> {
  const claims = decodeJwt(token);
  const subject = claims?.subject ?? known(grant?.subject);
  const who = claims?.username ?? grant?.username ?? subject;
  const groups = claims?.groups.length ? claims.groups : (grant?.groups ?? []);
  const audience = grant?.access.audience;
  const { issuer } = claims ?? {};
  const renewable = grant === undefined ? !fixed : grant.refreshToken !== undefined;
  const refreshUntilMs = renewable ? grant?.refreshExpiresAtMs : undefined;
  const live = expiresAtMs !== undefined && (expiresAtMs > nowMs || !renewable);
  return {
    groups,
    audiences: claims?.audiences.length
      ? claims.audiences
      : audience === undefined
        ? []
        : [audience],
    scopes: claims?.scopes.length ? claims.scopes : (grant?.access.scopes ?? []),
    renewable,
    ...(issuer !== undefined && { issuer }),
    ...(subject !== undefined && { subject }),
    ...(who !== undefined && { who }),
    ...(live && { accessUntilMs: expiresAtMs }),
    ...(refreshUntilMs !== undefined && { refreshUntilMs }),
  };
}

/** `unknown` stands in the vault where no token named anybody. */
function known(subject: string | undefined): string | undefined {
  return subject === 'unknown' ? undefined : subject;
}
