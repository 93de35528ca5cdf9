/**
 * What a JupyterHub puts into the environment of a notebook, as sts-wire takes it: ACCESS_TOKEN,
 * REFRESH_TOKEN, IAM_CLIENT_ID, IAM_CLIENT_SECRET, IAM_SERVER. The access token may have died
 * before the notebook started, so the refresh token is used at once; its successors are shared by
 * all processes of the notebook, which would otherwise end one another's login.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { assertSafeUrl, type HttpOptions } from '../../net/http.ts';
import { withoutSlash } from '../issuer.ts';
import { LoginTokenSource } from '../login-token-source.ts';
import type { AccessToken, TokenSource } from '../token-source.ts';
import type { StoredLogin, TokenVault } from '../token-vault.ts';
import { givenSource } from './given-tokens.ts';
import { type HubSession, openHubVault } from './hub-vault.ts';
import { LearningVault } from './learning-vault.ts';
import { PassingVault } from './passing-vault.ts';
import {
  type Environment,
  type Finding,
  type FoundSource,
  notThere,
  variable,
  type Wanted,
} from './source.ts';
import { tokenIn } from './token-text.ts';

export interface HubFacts {
  readonly environment: Environment;
  /** The login is kept in a folder of it, if it can be written to. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly http: HttpOptions;
}

/** @throws WireError `config` when the hub left out what is needed. */
export async function lookForHub(
  facts: HubFacts,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Finding> {
  const { environment } = facts;
  const server = variable(environment, 'IAM_SERVER');
  const clientId = variable(environment, 'IAM_CLIENT_ID');
  const access = tokenIn(environment['ACCESS_TOKEN'] ?? '', 'ACCESS_TOKEN');
  // Any printable characters (RFC 6749 appendix A.17).
  const refreshText = environment['REFRESH_TOKEN']?.trim() ?? '';
  const refresh = refreshText === '' ? undefined : new Secret(refreshText);
  if (access === undefined && refresh === undefined) {
    return notThere('neither REFRESH_TOKEN nor ACCESS_TOKEN is set');
  }
  // Such names are anybody's: only with one of IAM's are they a hub's.
  if (server === undefined && clientId === undefined) {
    return notThere('tokens are set, but neither IAM_SERVER nor IAM_CLIENT_ID: not a hub of IAM');
  }
  const issuer = server ?? wanted.issuer;
  if (refresh === undefined) {
    return access === undefined
      ? notThere('ACCESS_TOKEN is not set')
      : { there: true, source: accessOnly(access, issuer, facts) };
  }
  if (issuer === undefined) throw lacking('IAM_SERVER', 'set it, or say --issuer URL');
  if (clientId === undefined) throw lacking('IAM_CLIENT_ID', 'have the hub set it');
  assertSafeUrl('use IAM_SERVER', issuer);
  const key = withoutSlash(issuer);
  const session = { issuer: key, clientId, refreshToken: refresh };
  return { there: true, source: await renewable(session, access, facts, wanted, signal) };
}

function accessOnly(token: Secret, issuer: string | undefined, facts: HubFacts): FoundSource {
  const place = 'ACCESS_TOKEN';
  const read = async (): Promise<Secret> => await Promise.resolve(token);
  const renewal = 'have the hub set REFRESH_TOKEN too, or log in with: wire login';
  const given = givenSource(token, { place, read, renewal, clock: facts.clock });
  return { ...given, ...(issuer !== undefined && { issuer }) };
}

async function renewable(
  session: HubSession,
  access: Secret | undefined,
  facts: HubFacts,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<FoundSource> {
  const { clock, log, http, stateDir } = facts;
  const { issuer } = session;
  const notes: string[] = [];
  let vault: TokenVault;
  try {
    vault = await openHubVault(session, stateDir, clock);
    await seed(vault, session, access, facts, signal);
  } catch (error) {
    signal.throwIfAborted();
    // Unsafe is not the same as absent: a folder that others can change is an error.
    if (error instanceof WireError) throw error;
    log.warn('login of the hub not shared with other processes', { stateDir, error });
    notes.push(`${stateDir} cannot be written to: a rotated refresh token ends with this process`);
    vault = new PassingVault();
    await seed(vault, session, access, facts, signal);
  }
  const learning = new LearningVault(vault, wanted.scopes === undefined);
  const tokens = new LoginTokenSource({
    issuer,
    context: { vault: learning, clock, log, http },
    ...(wanted.audience !== undefined && { audience: wanted.audience }),
    ...(wanted.scopes !== undefined && { scopes: wanted.scopes }),
  });
  return {
    place: `REFRESH_TOKEN of the environment, for ${issuer}`,
    issuer,
    tokens: new HubTokens(tokens),
    fixed: false,
    notes,
    grant: async (until) => (await learning.load(issuer, until))?.grant,
  };
}

/** Puts the environment's login into the vault, unless a process of this session has done so. */
async function seed(
  vault: TokenVault,
  { issuer, clientId, refreshToken }: HubSession,
  access: Secret | undefined,
  { environment, clock }: HubFacts,
  signal: AbortSignal,
): Promise<void> {
  const secret = variable(environment, 'IAM_CLIENT_SECRET');
  const nowMs = clock.now();
  const login: StoredLogin = {
    issuer,
    client: { id: clientId, ...(secret !== undefined && { secret: new Secret(secret) }) },
    grant: {
      subject: 'unknown',
      groups: [],
      scopes: [],
      refreshToken,
      // Taken for expired: nobody knows how long the hub has had it.
      access: {
        token: access ?? new Secret(''),
        scopes: [],
        issuedAtMs: nowMs,
        expiresAtMs: nowMs,
      },
    },
  };
  const put = async (locked: AbortSignal): Promise<void> => {
    if ((await vault.load(issuer, locked)) === undefined) await vault.save(login, locked);
  };
  await vault.exclusively(issuer, put, signal);
}

/** Says what to do on a hub, where a login ends with the session. */
class HubTokens implements TokenSource, AsyncDisposable {
  readonly #tokens: LoginTokenSource;

  constructor(tokens: LoginTokenSource) {
    this.#tokens = tokens;
  }

  async accessToken(minLifeMs: number, signal: AbortSignal): Promise<AccessToken> {
    try {
      return await this.#tokens.accessToken(minLifeMs, signal);
    } catch (error) {
      if (!(error instanceof WireError) || error.kind !== 'login-expired') throw error;
      const { tried, answered, next } = error.facts;
      const hub = 'start your server anew from the hub';
      const facts = { tried, answered, next: next === undefined ? hub : `${hub}, or ${next}` };
      throw new WireError('login-expired', facts, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tokens[Symbol.asyncDispose]();
  }
}

function lacking(name: string, next: string): WireError {
  const answered = `${name} is not set`;
  return new WireError('config', { tried: 'use REFRESH_TOKEN of the environment', answered, next });
}
