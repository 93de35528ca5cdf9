/** Why a provider gives no more tokens for a login, and what helps. */
import { WireError, type WireErrorFacts } from '../lib/wire-error.ts';

export type TroubleReason =
  | 'ended' // expired, revoked, logged out elsewhere: log in again
  | 'interrupted' // the refresh token was spent by a renewal whose answer is lost: log in again
  | 'policy-unsigned' // heals when the person signs
  | 'person-disabled' // heals when the administrators enable the account
  | 'client-gone' // the next login registers another client
  | 'refused'; // one of these: the provider does not tell

/**
 * The login gives no tokens now. Always of kind `login-expired`: for a mount all of these are one
 * state, in which nothing is lost and which may heal. Decide by `reason`.
 */
export class LoginTrouble extends WireError {
  override readonly name = 'LoginTrouble';
  readonly reason: TroubleReason;

  constructor(reason: TroubleReason, facts: WireErrorFacts, options?: ErrorOptions) {
    super('login-expired', facts, options);
    this.reason = reason;
  }
}
