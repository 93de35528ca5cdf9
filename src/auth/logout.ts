/** Logging out: the provider is told, and this machine forgets even if the provider is away. */
import * as oidc from 'openid-client';

import { WireError } from '../lib/wire-error.ts';
import type { AuthContext } from './auth-context.ts';
import { discoverIssuer, withoutSlash } from './issuer.ts';
import { defined } from './login-codec.ts';
import { callProvider, missing } from './provider-call.ts';
import { deleteClient } from './registration.ts';
import type { StoredLogin } from './token-vault.ts';

export interface LogoutSummary {
  readonly issuer: string;
  /** False: nobody was, and nothing but perhaps a client was removed. */
  readonly wasLoggedIn: boolean;
  /** Whether the provider withdrew the login; credentials made from it live on until they expire. */
  readonly revoked: boolean;
  /** Why the provider still knows the login. */
  readonly revocationTrouble?: WireError;
  readonly client: 'none' | 'kept' | 'deleted' | 'forgotten';
  /** Why a `forgotten` client still exists at the provider. */
  readonly clientTrouble?: WireError;
  /** Until when the last access token stays good, where that is known; ms since the epoch. */
  readonly accessExpiresAtMs?: number;
}

/**
 * Revokes the login at `issuer` and removes it from the vault, with the registered client too if
 * `forgetClient`. A provider that cannot be asked is reported, not thrown.
 *
 * @throws WireError `config` when the vault cannot be changed.
 */
export async function logout(
  issuer: string,
  options: { readonly forgetClient: boolean },
  context: AuthContext,
  signal: AbortSignal,
): Promise<LogoutSummary> {
  const key = withoutSlash(issuer);
  const leave = async (locked: AbortSignal): Promise<LogoutSummary> => {
    const stored = await context.vault.load(key, locked);
    if (stored === undefined) {
      return { issuer: key, wasLoggedIn: false, revoked: false, client: 'none' };
    }
    const revocationTrouble = await troubleOf(async () => await withdraw(stored, context, locked));
    const { client, clientTrouble } = await leaveClient(stored, options, context, locked);
    return {
      issuer: key,
      wasLoggedIn: stored.grant !== undefined,
      revoked: stored.grant !== undefined && revocationTrouble === undefined,
      client,
      ...defined({
        revocationTrouble,
        clientTrouble,
        accessExpiresAtMs: stored.grant?.access.expiresAtMs,
      }),
    };
  };
  return await context.vault.exclusively(key, leave, signal);
}

/**
 * Revokes what `login` holds: the refresh token where there is one, its access tokens go with it
 * (RFC 7009 §2.1).
 *
 * @throws Refusal; WireError `unreachable`, or `unsupported` when the provider revokes nothing.
 */
export async function withdraw(
  { issuer: url, client, grant }: StoredLogin,
  { http = {}, clock }: AuthContext,
  signal: AbortSignal,
): Promise<void> {
  if (grant === undefined) return;
  const tried = `log out at ${url}`;
  const issuer = await discoverIssuer(url, http, signal);
  if (issuer.metadata.revocation_endpoint === undefined) {
    throw missing(tried, issuer, 'revocation_endpoint');
  }
  const token = grant.refreshToken ?? grant.access.token;
  const hint = grant.refreshToken === undefined ? 'access_token' : 'refresh_token';
  await callProvider(
    tried,
    { issuer, client, http, clock },
    [token],
    async (configuration) =>
      await oidc.tokenRevocation(configuration, token.reveal(), { token_type_hint: hint }),
    signal,
  );
}

async function leaveClient(
  stored: StoredLogin,
  { forgetClient }: { readonly forgetClient: boolean },
  { vault, http = {} }: AuthContext,
  signal: AbortSignal,
): Promise<Pick<LogoutSummary, 'client' | 'clientTrouble'>> {
  const { issuer, client } = stored;
  if (client.registration !== undefined && !forgetClient) {
    await vault.save({ issuer, client }, signal);
    return { client: 'kept' };
  }
  if (client.registration === undefined) {
    await vault.delete(issuer, signal);
    return { client: 'none' };
  }
  const clientTrouble = await troubleOf(async () => await deleteClient(client, http, signal));
  await vault.delete(issuer, signal);
  if (clientTrouble !== undefined) return { client: 'forgotten', clientTrouble };
  return { client: 'deleted' };
}

/** The issuers at which wire is a client, with or without a login. */
export async function issuersOfClients(
  { vault }: AuthContext,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return (await vault.list(signal)).map(({ issuer }) => issuer);
}

/** What `work` reports as a WireError; anything else, an abort too, is thrown on. */
async function troubleOf(work: () => Promise<void>): Promise<WireError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}
