/**
 * The client of a login: the given one, the one that an earlier login registered if it will do, or
 * a new one. Whoever registers a client is answerable for it: one that replaces another has that
 * deleted, and one that came to nothing is deleted too.
 */
import { WireError } from '../lib/wire-error.ts';
import type { AuthContext } from './auth-context.ts';
import { redirectUris } from './browser-login.ts';
import type { Issuer } from './issuer.ts';
import type { LoginEvents } from './login-events.ts';
import type { LoginRequest } from './login-request.ts';
import { withdraw } from './logout.ts';
import { clientIsGone, deleteClient, registerClient } from './registration.ts';
import type { StoredClient, StoredLogin } from './token-vault.ts';

/** A provider that is slow to forget must not hold up a login that is made. */
const COURTESY_LIMIT_MS = 5000;

/** The client to use again; undefined when a new one is needed. */
export async function knownClient(
  request: LoginRequest,
  stored: StoredLogin | undefined,
  events: LoginEvents,
  context: AuthContext,
  signal: AbortSignal,
): Promise<StoredClient | undefined> {
  const client = stored?.client;
  if (request.client !== undefined) {
    // What wire registered stays its own to delete, also when it is named.
    return client?.id === request.client.id ? { ...client, ...request.client } : request.client;
  }
  if (client === undefined || !suits(client, request)) return undefined;
  // The page of a provider that does not know the client never sends the browser back.
  if (request.flow !== 'browser' || !(await isGone(client, context, signal))) return client;
  noteGone(events);
  return undefined;
}

export function noteGone(events: LoginEvents): void {
  events.note?.('the provider has forgotten the client that wire registered; here is a new one');
}

/** Whether a client that wire registered will do for `request`. */
export function suits(client: StoredClient, request: LoginRequest): boolean {
  if (request.publicClient === true && client.secret !== undefined) return false;
  const asked = client.registration?.asked ?? [];
  if (!request.scopes.every((scope) => asked.includes(scope))) return false;
  return request.flow !== 'browser' || usableUris(client).length > 0;
}

/** Where a browser may come back to for this client: all, for one that was given. */
export function usableUris({ registration }: StoredClient): readonly string[] {
  if (registration === undefined) return redirectUris;
  return redirectUris.filter((uri) => registration.redirectUris?.includes(uri) === true);
}

/** Whether that is sure; a provider that does not say so will say it later. */
async function isGone(
  client: StoredClient,
  { http = {} }: AuthContext,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await clientIsGone(client, { ...http, timeoutMs: COURTESY_LIMIT_MS }, signal);
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

/** @throws as `registerClient`. */
export async function newClient(
  issuer: Issuer,
  request: LoginRequest,
  context: AuthContext,
  signal: AbortSignal,
): Promise<StoredClient> {
  const { scopes, clientName, publicClient = false, flow } = request;
  const uris = flow === 'browser' ? redirectUris : [];
  const wanted = { scopes, clientName, publicClient, redirectUris: uris };
  const client = await registerClient(issuer, wanted, context.http ?? {}, signal);
  context.log.info('client registered', { issuer: issuer.url, client: client.id });
  return client;
}

/**
 * Takes back a login that another has replaced: its tokens, and its client if wire registered it.
 * A login of the same client is left alone: some providers take back all tokens of a client and a
 * person with any of them. Never fails: what cannot be taken back is logged.
 */
export async function retire(
  old: StoredLogin | undefined,
  successor: StoredClient,
  context: AuthContext,
  signal: AbortSignal,
): Promise<void> {
  if (old === undefined || old.client.id === successor.id) return;
  const hasty = { ...context, http: { ...context.http, timeoutMs: COURTESY_LIMIT_MS } };
  await logged('replaced login not revoked', context, async () => {
    await withdraw(old, hasty, signal);
  });
  if (old.client.registration === undefined) return;
  await logged('replaced client not deleted', context, async () => {
    await deleteClient(old.client, hasty.http, signal);
  });
}

/** Deletes a client that was registered for a login that came to nothing. Never fails. */
export async function discard(
  client: StoredClient,
  context: AuthContext,
  signal: AbortSignal,
): Promise<void> {
  const http = { ...context.http, timeoutMs: COURTESY_LIMIT_MS };
  await logged('unused client not deleted', context, async () => {
    await deleteClient(client, http, signal);
  });
}

async function logged(
  event: string,
  { log }: AuthContext,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    log.warn(event, { error });
  }
}
