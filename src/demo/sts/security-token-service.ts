/**
 * The playground's security token service: trades a token of the IAM for temporary keys, with the
 * rules and the words of one real server (see the `*-dialect.ts` beside it).
 */
import type { Clock } from '../../lib/clock.ts';
import type { StoreDialect } from '../dialect.ts';
import { claimVariables } from '../policy/evaluation.ts';
import type { SecurityTokenService, StsReply } from '../s3/principal.ts';
import { awsDialect } from './aws-dialect.ts';
import type { PolicyClaim, Realm, StsDialect } from './dialect.ts';
import type { IssuedKeys } from './issued-keys.ts';
import { minioDialect } from './minio-dialect.ts';
import { StsRefusal } from './refusal.ts';
import { rgwDialect } from './rgw-dialect.ts';
import type { Role } from './role.ts';
import { WebIdentity } from './web-identity.ts';

export interface TokenServiceOptions {
  readonly dialect: StoreDialect;
  /** Whose tokens are taken: discovery and keys are fetched from here. */
  readonly issuer: string;
  /** Client ids or audiences that tokens may be for. */
  readonly audiences: readonly string[];
  readonly roles: readonly Role[];
  /** For `minio`: the token names its policies and roles are ignored. */
  readonly policyClaim?: PolicyClaim;
  /** Where temporary keys go. */
  readonly keys: IssuedKeys;
  readonly clock: Clock;
  /** Least `DurationSeconds` that is taken. Default 900, as on all real servers. */
  readonly minDurationSeconds?: number;
  /** Life of every lease, whatever is asked; absent: as asked. */
  readonly leaseSeconds?: number;
  /**
   * Session policies are checked and then ignored, as by MinIO with an authorization plugin (OPA).
   * Default false.
   */
  readonly sessionPoliciesIgnored?: boolean;
  /** Refuse keys without a certificate, as RGW 16 does (later ones do not). Default false. */
  readonly x5cRequired?: boolean;
}

const ACTION = 'AssumeRoleWithWebIdentity';
const MIN_DURATION_SECONDS = 900;

const dialects: Readonly<Record<StoreDialect, StsDialect>> = {
  aws: awsDialect,
  minio: minioDialect,
  rgw: rgwDialect,
};

export class TokenService implements SecurityTokenService {
  readonly #dialect: StsDialect;
  readonly #realm: Realm;
  readonly #keys: IssuedKeys;
  readonly #sessionPoliciesIgnored: boolean;
  /** Life of leases from now on, whatever is asked; undefined: as asked. */
  leaseSeconds: number | undefined;

  /** `signal` ends the fetches of the issuer's keys. */
  constructor(options: TokenServiceOptions, signal: AbortSignal) {
    const { issuer, audiences, roles, clock } = options;
    this.#dialect = dialects[options.dialect];
    this.#keys = options.keys;
    this.leaseSeconds = options.leaseSeconds;
    this.#sessionPoliciesIgnored = options.sessionPoliciesIgnored ?? false;
    this.#realm = {
      issuer,
      audiences,
      roles,
      policyClaim: options.policyClaim,
      identity: new WebIdentity({ issuer, x5cRequired: options.x5cRequired ?? false }, signal),
      minDurationSeconds: options.minDurationSeconds ?? MIN_DURATION_SECONDS,
      now: () => clock.now(),
    };
  }

  async answer(form: URLSearchParams): Promise<StsReply> {
    try {
      return await this.#assume(form);
    } catch (error) {
      if (error instanceof StsRefusal) return this.#dialect.refuse(error);
      const defect = new StsRefusal(500, 'InternalError', 'the playground failed');
      return this.#dialect.refuse(defect);
    }
  }

  async #assume(form: URLSearchParams): Promise<StsReply> {
    const action = form.get('Action') ?? '';
    if (action !== ACTION) throw this.#dialect.refuseAction(action);
    const assumption = await this.#dialect.assume(form, this.#realm);
    const { subject, claims, policies } = assumption;
    const session = this.#sessionPoliciesIgnored ? undefined : assumption.sessionPolicy;
    const lease = this.leaseSeconds;
    const key = this.#keys.issue({
      name: subject,
      policies: { granted: policies, ...(session && { session }) },
      variables: claimVariables(claims),
      expiresAtMs: lease === undefined ? assumption.expiresAtMs : this.#realm.now() + lease * 1000,
    });
    return this.#dialect.reply(assumption, key, this.#realm);
  }

  /** Ends every lease now, as if its time had come. */
  expireAll(): void {
    this.#keys.expireAll();
  }
}
