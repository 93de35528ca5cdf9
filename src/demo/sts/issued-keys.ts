/** Every access key there is: the root's, and the temporary ones that STS has given out. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import type { EffectivePolicies } from '../policy/evaluation.ts';
import { isAllowed } from '../policy/evaluation.ts';
import type { Variables } from '../policy/pattern.ts';
import type { Principal, PrincipalBook, RequestConditions, Resource } from '../s3/principal.ts';

export interface RootKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Who gets a temporary key, for what and until when. */
export interface KeyGrant {
  /** The `sub` of the token. */
  readonly name: string;
  readonly policies: EffectivePolicies;
  readonly variables: Variables;
  readonly expiresAtMs: number;
}

/** Expired keys are kept for their error code; beyond this many keys the oldest go. */
const MAX_KEYS = 10_000;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export class IssuedKeys implements PrincipalBook {
  readonly #clock: Clock;
  readonly #root: Principal;
  /** In order of issue. */
  readonly #temporary = new Map<string, TemporaryKey>();
  readonly #tokenKey = randomBytes(32);

  constructor(root: RootKey, clock: Clock) {
    this.#clock = clock;
    this.#root = { ...root, name: 'root', allows: () => true };
  }

  find(accessKeyId: string): Principal | undefined {
    if (accessKeyId === this.#root.accessKeyId) return this.#root;
    return this.#temporary.get(accessKeyId);
  }

  issue(grant: KeyGrant): TemporaryKey {
    const accessKeyId = newAccessKeyId();
    const key = new TemporaryKey(accessKeyId, this.#newSessionToken(accessKeyId), grant);
    this.#temporary.set(accessKeyId, key);
    for (const oldest of this.#temporary.keys()) {
      if (this.#temporary.size <= MAX_KEYS) break;
      this.#temporary.delete(oldest);
    }
    return key;
  }

  /** Every temporary key that is remembered, in order of issue: tests look for them in logs. */
  get issued(): readonly TemporaryKey[] {
    return [...this.#temporary.values()];
  }

  /** Ends every temporary key now. */
  expireAll(): void {
    const now = this.#clock.now();
    for (const key of this.#temporary.values()) key.endBy(now);
  }

  #newSessionToken(accessKeyId: string): string {
    const body = `${accessKeyId}.${randomBytes(24).toString('base64url')}`;
    const mac = createHmac('sha256', this.#tokenKey).update(body).digest('base64url');
    return `${Buffer.from(body).toString('base64url')}.${mac}`;
  }
}

/** 20 characters, of which AWS gives the first four to temporary keys. */
function newAccessKeyId(): string {
  const characters = Array.from(randomBytes(16), (byte) => alphabet.charAt(byte % alphabet.length));
  return `ASIA${characters.join('')}`;
}

/** One set of temporary credentials. */
export class TemporaryKey implements Principal {
  readonly accessKeyId: string;
  readonly secretAccessKey: string = randomBytes(30).toString('base64');
  readonly sessionToken: string;
  readonly name: string;
  readonly #grant: KeyGrant;
  #expiresAtMs: number;

  constructor(accessKeyId: string, sessionToken: string, grant: KeyGrant) {
    this.accessKeyId = accessKeyId;
    this.sessionToken = sessionToken;
    this.name = grant.name;
    this.#grant = grant;
    this.#expiresAtMs = grant.expiresAtMs;
  }

  get expiresAtMs(): number {
    return this.#expiresAtMs;
  }

  endBy(ms: number): void {
    this.#expiresAtMs = Math.min(this.#expiresAtMs, ms);
  }

  /** Claims are condition keys too: a policy may ask for `jwt:sub`. */
  allows(action: string, resource: Resource, conditions: RequestConditions): boolean {
    const { policies, variables } = this.#grant;
    // A request cannot bring claims of its own.
    const asked = Object.entries(conditions)
      .filter(([key]) => !key.toLowerCase().startsWith('jwt:'))
      .map(([key, value]) => [key, [value]] as const);
    return isAllowed(policies, {
      action,
      resource,
      conditions: { ...Object.fromEntries(asked), ...variables },
      variables,
    });
  }
}
