/** Which access tokens a command uses. */
import { LoginTokenSource } from '../auth/login-token-source.ts';
import type { TokenSource } from '../auth/token-source.ts';
import type { Settings } from '../config/options.ts';
import { requireIssuer } from './identity.ts';
import type { Surroundings } from './surroundings.ts';

/** Tokens, and whose they are. */
export interface ChosenTokens {
  readonly tokens: TokenSource;
  /** The provider that makes them. */
  readonly issuer: string;
}

/** @throws WireError `login-expired` when there are none; `usage` when it is unclear which. */
export async function openTokens(
  settings: Settings,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<ChosenTokens> {
  const { issuer, context } = await requireIssuer(settings.issuer, surroundings, signal);
  const { audience } = settings;
  const tokens = new LoginTokenSource({
    issuer,
    context,
    ...(audience !== undefined && { audience }),
  });
  return { tokens, issuer };
}
