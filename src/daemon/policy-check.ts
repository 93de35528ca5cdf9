/**
 * Finds out, beside a mount that is ready, whether the server enforces the session policy of its
 * credentials: one more lease with all rights of the role, used for the canary's few requests and
 * forgotten. The mount's own lease is not touched: the canary works with a copy that is not renewed.
 */
import { randomBytes } from 'node:crypto';
import type { TokenSource } from '../auth/token-source.ts';
import { WireError } from '../lib/wire-error.ts';
import { createS3Stores, type S3Stores } from '../s3/s3-object-stores.ts';
import { assumeRoleWithWebIdentity } from '../sts/assume-role.ts';
import type { CredentialSource, Credentials } from '../sts/credential-source.ts';
import { type CanaryVerdict, testEnforcement } from './canary.ts';
import { roleRequestOf } from './credentials.ts';
import type { Connection } from './mount-parts.ts';
import type { NarrowedCredentials } from './narrowed-credentials.ts';
import type { Surroundings } from './surroundings.ts';

export interface PolicyCheckOptions {
  readonly connection: Connection;
  readonly tokens: TokenSource;
  readonly narrowed: NarrowedCredentials;
  readonly surroundings: Surroundings;
}

/** The shortest that every server takes: nobody should have these for longer. */
const DURATION_SECONDS = 900;
/** Enough for the trade itself. */
const TOKEN_LIFE_MS = 60_000;
/** Nobody waits for the result: a busy server is left alone soon. */
const RETRY_BUDGET_MS = 5_000;

export class PolicyCheck implements AsyncDisposable {
  readonly #options: PolicyCheckOptions;
  readonly #closing = new AbortController();
  #work: Promise<CanaryVerdict> | undefined;
  #verdict: CanaryVerdict | undefined;

  constructor(options: PolicyCheckOptions) {
    this.#options = options;
  }

  /** Undefined until it is known. */
  get verdict(): CanaryVerdict | undefined {
    return this.#verdict;
  }

  /** Once, however often it is asked. Never rejects. */
  async run(): Promise<CanaryVerdict> {
    this.#work ??= this.#judge().then((verdict) => {
      this.#verdict = verdict;
      return verdict;
    });
    return await this.#work;
  }

  /** Ends what runs, and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the mount has ended'));
    await this.#work;
  }

  async #judge(): Promise<CanaryVerdict> {
    const { log } = this.#options.surroundings;
    try {
      const verdict = await this.#test(this.#closing.signal);
      log.info('session policy tested', { ...verdict });
      return verdict;
    } catch (error) {
      if (!this.#closing.signal.aborted) log.warn('session policy not tested', { error });
      const reason = error instanceof WireError ? error.message : String(error);
      return { enforcement: 'cannot tell', reason };
    }
  }

  async #test(signal: AbortSignal): Promise<CanaryVerdict> {
    const { narrowed } = this.#options;
    await using wide = this.#stores(await this.#allRights(signal));
    await using held = this.#stores(await narrowed.credentials(signal));
    const { rights } = narrowed.policy;
    const name = `wire-canary-${randomBytes(12).toString('hex')}`;
    return await testEnforcement({ rights, wide, narrowed: held, name }, signal);
  }

  async #allRights(signal: AbortSignal): Promise<Credentials> {
    const { connection, tokens, surroundings } = this.#options;
    const { http, clock } = surroundings;
    const { token } = await tokens.accessToken(TOKEN_LIFE_MS, signal);
    const request = { ...roleRequestOf(connection), token, durationSeconds: DURATION_SECONDS };
    return await assumeRoleWithWebIdentity(request, { ...http, clock }, signal);
  }

  #stores(credentials: Credentials): S3Stores {
    const { connection, surroundings } = this.#options;
    const { endpoint, region } = connection;
    const { network, clock, log } = surroundings;
    return createS3Stores({
      ...{ endpoint, region, network, clock, log },
      credentials: new FixedCredentials(credentials),
      maxConnections: 1,
      retryBudgetMs: RETRY_BUDGET_MS,
    });
  }
}

/** One lease, as long as it lasts. */
class FixedCredentials implements CredentialSource {
  readonly #credentials: Credentials;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  async credentials(): Promise<Credentials> {
    return await Promise.resolve(this.#credentials);
  }

  async renew(): Promise<Credentials> {
    const tried = 'test the session policy';
    const error = new WireError('credentials-expired', { tried, answered: 'the lease has ended' });
    return await Promise.reject(error);
  }
}
