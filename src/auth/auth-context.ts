/** What every part of a login works with. */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { HttpOptions } from '../net/http.ts';
import type { TokenVault } from './token-vault.ts';

export interface AuthContext {
  readonly vault: TokenVault;
  readonly clock: Clock;
  readonly log: Log;
  readonly http?: HttpOptions;
}
