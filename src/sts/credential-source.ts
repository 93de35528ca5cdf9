/** Temporary credentials, renewed before they end. The store signs with nothing else. */
import type { Secret } from '../lib/secret.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken: Secret;
  /** The `Expiration` of the reply, ms since the epoch. */
  readonly expiresAtMs: number;
}

export interface CredentialSource {
  /**
   * Credentials that are good now. Concurrent callers share one renewal.
   *
   * @throws WireError as `TokenSource`, or `identity-refused` when STS says no.
   */
  credentials(signal: AbortSignal): Promise<Credentials>;

  /**
   * As `credentials`, renewed first where they would end within `wantedMs` and new ones would not:
   * for a request that takes long. Shorter ones are better than an error. Absent: `credentials` it is.
   */
  lasting?(wantedMs: number, signal: AbortSignal): Promise<Credentials>;

  /**
   * A store refused `refused` as expired: renews unless that has happened meanwhile.
   *
   * @throws as `credentials`; `credentials-expired` when leases are refused as fast as they are made.
   */
  renew(refused: Credentials, signal: AbortSignal): Promise<Credentials>;
}
