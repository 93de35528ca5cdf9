/** Logging in and out, and who is logged in, for the command: secrets stay below this file. */
import { access, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import {
  type AuthContext,
  issuersOfClients,
  type LoginEvents,
  type LoginFlow,
  type LoginSummary,
  type LogoutSummary,
  login,
  logins,
  logout,
} from '../auth/login.ts';
import { openVault, type VaultOptions, vaultFileOf } from '../auth/open-vault.ts';
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import type { Surroundings } from './surroundings.ts';

export type { DeviceCode, LoginEvents, LoginFlow, LoginPage } from '../auth/login.ts';

export interface LoginInput {
  readonly issuer: string;
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly clientId?: string;
  /** A file with the secret of `clientId`. */
  readonly clientSecretFile?: string;
  readonly publicClient: boolean;
  readonly insecureStorage: boolean;
  readonly flow: LoginFlow;
}

/** A login as it is told. */
export interface LoginFacts {
  readonly issuer: string;
  /** User name, or the subject where there is none. */
  readonly who: string;
  readonly groups: readonly string[];
  readonly audience?: string;
  /** When the person is needed again, as far as is known; ms since the epoch. */
  readonly untilMs?: number;
  /** That is only days away (hours, of a short login): time to log in again. */
  readonly endsSoon?: true;
}

/** What is kept of logins, or why that cannot be read just now. */
export interface KnownLogins {
  readonly logins: readonly LoginFacts[];
  readonly trouble?: WireError;
}

export interface LoginOutcome extends LoginFacts {
  readonly storedIn: string;
}

export interface LogoutOutcome {
  readonly issuer: string;
  readonly notes: readonly string[];
  /** Mounts whose temporary credentials outlive the login: nobody can take those back. */
  readonly served: readonly ServedMount[];
}

/** A mount, and until when what it has from an STS stays good; ms since the epoch. */
export interface ServedMount {
  readonly mountPoint: string;
  readonly untilMs: number;
}

/** @throws WireError as `auth/login.ts`. */
export async function logIn(
  input: LoginInput,
  events: LoginEvents,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<LoginOutcome> {
  const { issuer, scopes, audience, clientId, publicClient, insecureStorage, flow } = input;
  const secret = await readSecret(input.clientSecretFile, signal);
  const opened = await openContext(surroundings, { insecureStorage, replaceLost: true }, signal);
  const request = {
    issuer,
    scopes,
    publicClient,
    flow,
    // Seen on the approval page, and in the list of what has access: by machine, to tell them apart.
    clientName: `wire on ${hostname()}`,
    ...(audience !== undefined && { audience }),
    ...(clientId !== undefined && {
      client: { id: clientId, ...(secret !== undefined && { secret }) },
    }),
  };
  const summary = await login(request, events, opened.context, signal);
  return { ...factsOf(summary, surroundings.clock.now()), storedIn: opened.storedIn };
}

/**
 * Without `issuer`: of the only login; with `forgetClient` and no login, of the only client.
 *
 * @throws WireError `login-expired` when nobody is logged in there; `usage` when it is unclear where.
 */
export async function logOut(
  issuer: string | undefined,
  forgetClient: boolean,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Omit<LogoutOutcome, 'served'>> {
  const context = await existingContext(surroundings, signal);
  if (context === undefined) throw nothingToEnd(issuer);
  const loggedIn = (await logins(context, signal)).map((summary) => summary.issuer);
  const anyClient = forgetClient && (issuer !== undefined || loggedIn.length === 0);
  const known = anyClient ? await issuersOfClients(context, signal) : loggedIn;
  const isKnown = known.some(
    (one) => issuer === undefined || withoutSlash(one) === withoutSlash(issuer),
  );
  if (!isKnown) throw nothingToEnd(issuer);
  const chosen = chooseIssuer(issuer, known);
  return {
    issuer: chosen,
    notes: logoutNotes(await logout(chosen, { forgetClient }, context, signal)),
  };
}

/**
 * Everybody who is logged in; nobody when there is no vault yet. A vault that does not open (its
 * keychain is locked, WIRE_KEY_FILE is not set here) is told, not thrown: there is more to show.
 */
export async function knownLogins(
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<KnownLogins> {
  try {
    const context = await existingContext(surroundings, signal);
    if (context === undefined) return { logins: [] };
    const nowMs = surroundings.clock.now();
    return { logins: (await logins(context, signal)).map((summary) => factsOf(summary, nowMs)) };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    surroundings.log.warn('logins not read', { error });
    return { logins: [], trouble: error };
  }
}

/**
 * The login to mount with.
 *
 * @throws WireError as `chooseIssuer`.
 */
export async function requireIssuer(
  wanted: string | undefined,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<{ readonly issuer: string; readonly context: AuthContext }> {
  const context = await existingContext(surroundings, signal);
  if (context === undefined) throw notLoggedIn(wanted ?? 'ISSUER');
  const known = await logins(context, signal);
  const issuer = chooseIssuer(
    wanted,
    known.map((summary) => summary.issuer),
  );
  return { issuer, context };
}

/**
 * The issuer to use: the one asked for, else the only one there is a login of. Issuers are equal
 * but for a slash at the end (INDIGO IAM has one in its metadata, people type none).
 *
 * @throws WireError `login-expired` when there is no login; `usage` when there are several.
 */
export function chooseIssuer(wanted: string | undefined, known: readonly string[]): string {
  if (wanted !== undefined) {
    const found = known.find((issuer) => withoutSlash(issuer) === withoutSlash(wanted));
    if (found === undefined) throw notLoggedIn(wanted);
    return found;
  }
  const [only, ...others] = known;
  if (only === undefined) throw notLoggedIn('ISSUER');
  if (others.length === 0) return only;
  throw new WireError('usage', {
    tried: 'choose a login',
    answered: `there are ${known.length}: ${known.join(', ')}`,
    next: 'say which with --issuer URL',
  });
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

function notLoggedIn(issuer: string): WireError {
  const tried = issuer === 'ISSUER' ? 'use a login' : `use the login at ${issuer}`;
  const answered = 'nobody is logged in';
  return new WireError('login-expired', { tried, answered, next: `run: wire login ${issuer}` });
}

/** Who wants out is not told to log in. */
function nothingToEnd(issuer: string | undefined): WireError {
  const tried = issuer === undefined ? 'log out' : `log out at ${issuer}`;
  const next = 'see which logins there are with: wire status';
  return new WireError('login-expired', {
    tried,
    answered: issuer === undefined ? 'nobody is logged in' : 'nobody is logged in there',
    next,
  });
}

/** The vault with what goes with it, made if there is none. */
async function openContext(
  surroundings: Surroundings,
  allowed: Pick<VaultOptions, 'insecureStorage' | 'replaceLost'>,
  signal: AbortSignal,
): Promise<{ readonly context: AuthContext; readonly storedIn: string }> {
  const { clock, log, http } = surroundings;
  const { vault, storedIn } = await openVault(vaultOptionsOf(surroundings, allowed), signal);
  return { context: { vault, clock, log, http }, storedIn };
}

function vaultOptionsOf(
  { paths, environment, clock, log }: Surroundings,
  allowed: Pick<VaultOptions, 'insecureStorage' | 'replaceLost'>,
): VaultOptions {
  const keyFile = environment['WIRE_KEY_FILE'];
  return {
    stateDir: paths.stateDir,
    ...allowed,
    log,
    clock,
    ...(Boolean(keyFile) && keyFile !== undefined && { keyFile }),
    ...(Boolean(environment['WIRE_NO_KEYCHAIN']) && { keychain: 'none' as const }),
  };
}

/**
 * A key for something kept beside the logins, that only they open. Makes a vault where there is none.
 *
 * @throws WireError `config` when no place is safe for its key.
 */
export async function keyBesideLogins(
  purpose: string,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Buffer> {
  const opened = await openVault(vaultOptionsOf(surroundings, { insecureStorage: false }), signal);
  return opened.deriveKey(purpose);
}

/** The vault there is: asking who is logged in must not make one. */
async function existingContext(
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<AuthContext | undefined> {
  try {
    await access(vaultFileOf(surroundings.paths.stateDir));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  }
  return (await openContext(surroundings, { insecureStorage: false }, signal)).context;
}

async function readSecret(
  path: string | undefined,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  if (path === undefined) return undefined;
  const tried = `read the client secret from ${path}`;
  try {
    const text = (await readFile(path, { encoding: 'utf8', signal })).trim();
    if (text !== '') return new Secret(text);
  } catch (error) {
    signal.throwIfAborted();
    const answered = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new WireError('config', { tried, answered }, { cause: error });
  }
  throw new WireError('config', { tried, answered: 'it is empty' });
}

/** What a person must know of a logout that was not complete. */
function logoutNotes(summary: LogoutSummary): readonly string[] {
  const { issuer, revocationTrouble, clientTrouble, client } = summary;
  const notes: string[] = [];
  // Without its client a refresh token is of no use.
  if (revocationTrouble !== undefined && client !== 'deleted') {
    notes.push(
      `the provider still knows the login: ${revocationTrouble.message}; end it on the pages of ${issuer}`,
    );
  }
  if (clientTrouble !== undefined) {
    notes.push(
      `the client still exists at the provider: ${clientTrouble.message}; delete it on the pages of ${issuer}`,
    );
  } else if (client === 'deleted') notes.push('the client was deleted');
  return notes;
}

function factsOf(summary: LoginSummary, nowMs: number): LoginFacts {
  const { issuer, subject, username, groups, audience, endNoticeFromMs = Infinity } = summary;
  // With a refresh token the access token's end is nobody's concern.
  const untilMs = summary.renewable ? summary.refreshExpiresAtMs : summary.accessExpiresAtMs;
  return {
    issuer,
    who: username ?? subject,
    groups,
    ...(audience !== undefined && { audience }),
    ...(untilMs !== undefined && { untilMs }),
    ...(nowMs >= endNoticeFromMs && { endsSoon: true as const }),
  };
}
