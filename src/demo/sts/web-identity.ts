/**
 * Checks who signed a token: the issuer's keys by discovery and JWKS, fetched again once when a
 * token's key is unknown or its signature does not fit, as after a rotation. Says nothing of
 * audience and time: there each dialect has its own rules.
 */
import { compactVerify, createLocalJWKSet, decodeProtectedHeader, errors } from 'jose';
import { raceAbort } from '../../lib/abort.ts';

export type Claims = Readonly<Record<string, unknown>>;

export type TokenFault =
  | 'malformed' // no JWT, or of an algorithm that is not taken
  | 'unknown-key' // the issuer publishes no such key
  | 'bad-signature'
  | 'unreachable'; // the issuer's keys cannot be had

/** A token that proves nothing. The message never holds the token. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly fault: TokenFault;

  constructor(fault: TokenFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** Public-key algorithms only: with HS256 whoever knows a shared secret could sign. */
const algorithms = ['RS', 'PS', 'ES'].flatMap((family) =>
  ['256', '384', '512'].map((bits) => family + bits),
);

/** An issuer that has not answered by then is down. */
const FETCH_TIMEOUT_MS = 10_000;

type KeySet = ReturnType<typeof createLocalJWKSet>;

export interface WebIdentityOptions {
  /** With or without a final slash. */
  readonly issuer: string;
  /** Take only keys with a certificate chain, as Ceph RGW 16 does. */
  readonly x5cRequired: boolean;
}

export class WebIdentity {
  readonly #options: WebIdentityOptions;
  readonly #signal: AbortSignal;
  #keys: KeySet | undefined;

  /** `signal` ends every fetch. */
  constructor(options: WebIdentityOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /**
   * The claims of `token`, whose signature is good.
   *
   * @throws TokenError
   */
  async claimsOf(token: string): Promise<Claims> {
    const kept = this.#keys;
    if (kept !== undefined) {
      try {
        return await verify(token, kept);
      } catch (error) {
        if (!(error instanceof TokenError) || error.fault === 'malformed') throw error;
      }
    }
    const fresh = await this.#fetchKeys();
    this.#keys = fresh;
    return await verify(token, fresh);
  }

  async #fetchKeys(): Promise<KeySet> {
    const base = this.#options.issuer.replace(/\/$/, '');
    const metadata = await this.#fetchJson(`${base}/.well-known/openid-configuration`);
    const { jwks_uri: keysUrl } = metadata;
    if (typeof keysUrl !== 'string') throw new TokenError('unreachable', 'no jwks_uri published');
    const { keys } = await this.#fetchJson(keysUrl);
    if (!Array.isArray(keys)) throw new TokenError('unreachable', 'no keys published');
    return createLocalJWKSet({ keys: keys.filter((key) => this.#takes(key)) });
  }

  #takes(key: unknown): key is { kty: string } {
    if (typeof key !== 'object' || key === null || !('kty' in key)) return false;
    return !this.#options.x5cRequired || 'x5c' in key;
  }

  async #fetchJson(url: string): Promise<Claims> {
    try {
      const answer = fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
      const response = await raceAbort(answer, this.#signal);
      const body: unknown = await raceAbort(response.json(), this.#signal);
      if (!response.ok || typeof body !== 'object' || body === null) {
        throw new TokenError('unreachable', `${url} answered ${response.status}`);
      }
      return body as Claims;
    } catch (error) {
      if (error instanceof TokenError) throw error;
      throw new TokenError('unreachable', `Get "${url}": no answer`, { cause: error });
    }
  }
}

async function verify(token: string, keys: KeySet): Promise<Claims> {
  try {
    const { payload } = await compactVerify(token, keys, { algorithms });
    const claims: unknown = JSON.parse(new TextDecoder().decode(payload));
    if (typeof claims === 'object' && claims !== null) return claims as Claims;
    throw new TokenError('malformed', 'the payload is not an object');
  } catch (error) {
    throw tokenErrorOf(error, token);
  }
}

function tokenErrorOf(error: unknown, token: string): TokenError {
  if (error instanceof TokenError) return error;
  if (error instanceof errors.JWKSNoMatchingKey) {
    const kid = keyIdOf(token);
    const message = kid === undefined ? 'Invalid kid value <nil>' : `No public key for kid ${kid}`;
    return new TokenError('unknown-key', message, { cause: error });
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new TokenError('bad-signature', 'crypto/rsa: verification error', { cause: error });
  }
  return new TokenError('malformed', 'the token is not a signed JWT', { cause: error });
}

function keyIdOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid;
  } catch {
    return undefined;
  }
}
