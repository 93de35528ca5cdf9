/**
 * oidc-agent as a source: it keeps logins of its own and gives access tokens to programs of the
 * same person. Why it refuses is found out by a second question, since its texts differ by version.
 */
import { lstat } from 'node:fs/promises';
import path from 'node:path';

import type { Clock } from '../../lib/clock.ts';
import { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { presentable } from '../refusal.ts';
import type { AccessToken } from '../token-source.ts';
import { type AgentReply, type AgentSocket, askAgent } from './agent-socket.ts';
import { KeptTokens } from './kept-tokens.ts';
import { type Environment, type Finding, notThere, variable, type Wanted } from './source.ts';

export interface AgentFacts {
  readonly environment: Environment;
  readonly euid: number;
  readonly temporaryFolder: string;
  readonly clock: Clock;
  /** `--oidc-agent`: the account to ask for. */
  readonly account: string | undefined;
}

/** oidc-agent keeps a token until it has less than this; below, each request would renew it. */
const MIN_VALID_SECONDS = 60;

/** @throws WireError when the agent does not answer, is locked, or it is unclear which account. */
export async function lookForAgent(
  facts: AgentFacts,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Finding> {
  const { environment, account, clock } = facts;
  const named = variable(environment, 'OIDC_SOCK');
  const socketPath = named ?? (await usualSocket(facts));
  if (socketPath === undefined) {
    return notThere('OIDC_SOCK is not set, and no agent is at its usual place');
  }
  const socket = { path: socketPath, clock };
  const loaded = await loadedAccounts(socket, signal);
  if (loaded === undefined) throw locked();
  if (account === undefined && loaded.length === 0) {
    return notThere('oidc-agent runs, but has no account loaded (oidc-add ACCOUNT)');
  }
  const chosen = account ?? (wanted.issuer === undefined ? onlyOne(loaded) : undefined);
  const whose =
    chosen === undefined ? `an account for ${wanted.issuer ?? ''}` : `account ${chosen}`;
  const agent = new Agent(socket, chosen, whose, wanted);
  const source = {
    place: `${whose} of oidc-agent`,
    tokens: new KeptTokens(async (minLifeMs, until) => await agent.token(minLifeMs, until), clock),
    fixed: false,
    notes: [],
    ...(chosen === undefined && wanted.issuer !== undefined && { issuer: wanted.issuer }),
  };
  return { there: true, source };
}

/**
 * Where the agent that a desktop session starts listens (oidc-agent 5.2, `oidc-agent-service`).
 * Everybody may make such a folder in a shared one: it counts only if it is ours alone.
 */
async function usualSocket(facts: AgentFacts): Promise<string | undefined> {
  const { environment, euid, temporaryFolder } = facts;
  if (euid < 0) return undefined;
  const base = variable(environment, 'TMPDIR') ?? temporaryFolder;
  const folder = path.join(base, `oidc-agent-service-${euid}`);
  const socket = path.join(folder, 'oidc-agent.sock');
  try {
    const [around, itself] = [await lstat(folder), await lstat(socket)];
    const ours = around.isDirectory() && around.uid === euid && (around.mode & 0o077) === 0;
    return ours && itself.isSocket() && itself.uid === euid ? socket : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined when the agent does not tell: it is locked. */
async function loadedAccounts(
  socket: AgentSocket,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const tried = 'ask oidc-agent for its accounts';
  const reply = await askAgent(tried, { request: 'loaded_accounts' }, socket, signal);
  const { status, info } = reply;
  if (status !== 'success' || !Array.isArray(info)) return undefined;
  return info.filter((name): name is string => typeof name === 'string');
}

function onlyOne(loaded: readonly string[]): string {
  const [only, ...others] = loaded;
  if (only !== undefined && others.length === 0) return only;
  throw new WireError('usage', {
    tried: 'choose an account of oidc-agent',
    answered: `there are ${loaded.length}: ${loaded.map((name) => presentable(name, [])).join(', ')}`,
    next: 'say which with --oidc-agent ACCOUNT, or which provider with --issuer URL',
  });
}

class Agent {
  readonly #socket: AgentSocket;
  readonly #account: string | undefined;
  readonly #whose: string;
  readonly #wanted: Wanted;
  /** Half a life is the most to insist on: a token that lives shorter than we need exists. */
  #longestWishMs = Infinity;

  constructor(socket: AgentSocket, account: string | undefined, whose: string, wanted: Wanted) {
    this.#socket = socket;
    this.#account = account;
    this.#whose = whose;
    this.#wanted = wanted;
  }

  async token(minLifeMs: number, signal: AbortSignal): Promise<AccessToken> {
    const { issuer, audience, scopes } = this.#wanted;
    const wishMs = Math.min(minLifeMs, this.#longestWishMs);
    const question = {
      request: 'access_token',
      ...(this.#account === undefined ? { issuer } : { account: this.#account }),
      min_valid_period: Math.max(MIN_VALID_SECONDS, Math.ceil(wishMs / 1000)),
      application_hint: 'wire',
      ...(audience !== undefined && { audience }),
      ...(scopes !== undefined && { scope: scopes.join(' ') }),
    };
    const reply = await askAgent(this.#tried, question, this.#socket, signal);
    const { status, access_token: token, expires_at: expiresAt } = reply;
    if (status !== 'success' || typeof token !== 'string') throw await this.#refusal(reply, signal);
    // Both by the clock of this machine. 0 stands for: the provider did not say.
    const known = typeof expiresAt === 'number' && expiresAt > 0 && expiresAt < 8.64e12;
    const expiresAtMs = known ? expiresAt * 1000 : undefined;
    if (expiresAtMs !== undefined) {
      this.#longestWishMs = Math.max(expiresAtMs - this.#socket.clock.now(), 0) / 2;
    }
    return { token: new Secret(token), expiresAtMs };
  }

  get #tried(): string {
    return `get an access token from oidc-agent for ${this.#whose}`;
  }

  async #refusal(reply: AgentReply, signal: AbortSignal): Promise<WireError> {
    const loaded = await loadedAccounts(this.#socket, signal);
    if (loaded === undefined) return locked();
    const tried = this.#tried;
    const names = loaded.map((name) => presentable(name, [])).join(', ') || 'none';
    const account = this.#account;
    if (account !== undefined && !loaded.includes(account)) {
      const answered = `that account is not loaded (loaded: ${names})`;
      return new WireError('login-expired', { tried, answered, next: `run: oidc-add ${account}` });
    }
    const { error, info } = reply;
    const said = [error, info].filter((part) => typeof part === 'string').join('; ');
    const answered = `${presentable(said, []) || 'it gave none'} (loaded: ${names})`;
    if (account === undefined) {
      const login = `wire login ${this.#wanted.issuer ?? 'ISSUER'}`;
      const next = `load one with oidc-add, make one with oidc-gen, or run: ${login}`;
      return new WireError('login-expired', { tried, answered, next });
    }
    const next = `try: oidc-token ${account}; if the login has ended: oidc-gen --reauthenticate ${account}`;
    return new WireError('identity-refused', { tried, answered, next });
  }
}

function locked(): WireError {
  return new WireError('login-expired', {
    tried: 'ask oidc-agent for its accounts',
    answered: 'it does not tell: it is locked',
    next: 'unlock it with: oidc-add --unlock',
  });
}
