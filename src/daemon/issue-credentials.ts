/** Temporary credentials for other programs: once, or from an endpoint for as long as it is served. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replacePrivateFile } from '../auth/private-file.ts';
import type { Settings } from '../config/options.ts';
import { ensurePrivateDir } from '../config/paths.ts';
import type { Source } from '../config/source.ts';
import { Closers } from '../lib/closers.ts';
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import type { Credentials } from '../sts/credential-source.ts';
import { openCredentials, type RightsKeeper } from './connection-stores.ts';
import { CredentialEndpoint } from './credential-endpoint.ts';
import type { Connection } from './mount-parts.ts';
import { connectionOf } from './mount-specs.ts';
import { rightsWarnings } from './mounts.ts';
import { rightsOf } from './rights.ts';
import type { Surroundings } from './surroundings.ts';
import { openTokens } from './tokens.ts';

export interface CredentialsRequest {
  readonly settings: Settings;
  /** What the credentials may do at most; absent: whatever the role may. */
  readonly limit?: CredentialsLimit;
}

export interface CredentialsLimit {
  readonly source: Source;
  readonly readOnly: boolean;
}

/** What a program needs to use a store. */
export interface IssuedCredentials extends Credentials {
  readonly endpoint: string;
  readonly region: string;
}

export interface CredentialsEvents {
  /** Something that a person should know, in one line. */
  warn(line: string): void;
}

export interface ServeEvents extends CredentialsEvents {
  serving(place: ServedPlace): void;
}

/** Where credentials are served. */
export interface ServedPlace {
  readonly url: string;
  /** Holds what the Authorization header must be; nobody else can read it. */
  readonly tokenFile: string;
}

/** What has the right to use the endpoint; 256 bits, nobody guesses it. */
const TOKEN_BYTES = 32;

/** @throws WireError `usage` for a limit that is switched off; otherwise as a mount. */
export async function issueCredentials(
  request: CredentialsRequest,
  events: CredentialsEvents,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<IssuedCredentials> {
  await using closers = new Closers();
  const { keeper, connection } = await openKeeper(request, surroundings, closers, signal);
  const credentials = await keeper.credentials.credentials(signal);
  for (const line of rightsWarnings('these credentials', keeper.rights)) events.warn(line);
  const { endpoint, region } = connection;
  return { ...credentials, endpoint, region };
}

/** Serves until `signal` aborts. @throws as `issueCredentials`, before anything is served. */
export async function serveCredentials(
  request: CredentialsRequest & { readonly port: number },
  events: ServeEvents,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<void> {
  const { paths, uid, pid, log } = surroundings;
  await using closers = new Closers();
  const { keeper } = await openKeeper(request, surroundings, closers, signal);
  // What is wrong is told now, and not to the first program that asks.
  await keeper.credentials.credentials(signal);
  await ensurePrivateDir(paths.runtimeDir, uid, signal);
  const token = new Secret(randomBytes(TOKEN_BYTES).toString('base64url'));
  const credentials = async (asking: AbortSignal): Promise<Credentials> =>
    await keeper.credentials.credentials(asking);
  const { port } = request;
  const endpoint = closers.use(
    await CredentialEndpoint.listen({ port, token, credentials, log }, signal),
  );
  const tokenFile = join(paths.runtimeDir, `credentials-${pid}.token`);
  closers.defer(async () => await rm(tokenFile, { force: true }));
  await replacePrivateFile(tokenFile, token.reveal());
  events.serving({ url: endpoint.url, tokenFile });
  tellRights(keeper, events, surroundings);
  await aborted(signal);
}

async function openKeeper(
  { settings: asked, limit }: CredentialsRequest,
  surroundings: Surroundings,
  closers: Closers,
  signal: AbortSignal,
): Promise<{ readonly keeper: RightsKeeper; readonly connection: Connection }> {
  if (limit !== undefined && asked.sessionPolicy === false) throw switchedOff();
  const chosen = closers.use(await openTokens(asked, surroundings, signal));
  const { tokens, issuer, settings } = chosen;
  // Programs give up sooner than a person could log in again.
  const connection = { ...connectionOf(settings, issuer, 'get credentials'), expiryWaitMs: 0 };
  const rights = limit === undefined ? undefined : rightsOf({ ...limit, connection });
  const keeper = closers.use(openCredentials(connection, rights, tokens, surroundings));
  return { keeper, connection };
}

/** In the background: ends at the latest with `keeper`. */
function tellRights(keeper: RightsKeeper, events: ServeEvents, { log }: Surroundings): void {
  const telling = keeper.check?.run().then(() => {
    for (const line of rightsWarnings('these credentials', keeper.rights)) events.warn(line);
  });
  telling?.catch((error: unknown) => log.error('rights not verified', { error }));
}

async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function switchedOff(): WireError {
  return new WireError('usage', {
    tried: 'limit these credentials',
    answered: 'the session policy that would limit them is switched off',
    next: 'leave the limit out, or pass --session-policy on',
  });
}
