/** When temporary credentials count as expired: by the clock, or because a test said so. */
import type { Clock } from '../../lib/clock.ts';
import type { Principal } from './principal.ts';

export class Expiry {
  readonly #clock: Clock;
  /** After `expireNow`: the access keys issued since. */
  #issuedSince: Set<string> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isExpired({ accessKeyId, expiresAtMs, sessionToken }: Principal): boolean {
    if (expiresAtMs !== undefined && this.#clock.now() >= expiresAtMs) return true;
    if (sessionToken === undefined || this.#issuedSince === undefined) return false;
    return !this.#issuedSince.has(accessKeyId);
  }

  /** All temporary credentials issued so far are expired. */
  expireNow(): void {
    this.#issuedSince = new Set();
  }

  /** Learns from STS's answer which access key is newer than `expireNow`. */
  noteIssued(xml: string): void {
    const accessKeyId = /<AccessKeyId>([^<]+)<\/AccessKeyId>/.exec(xml)?.[1];
    if (accessKeyId !== undefined) this.#issuedSince?.add(accessKeyId);
  }
}
