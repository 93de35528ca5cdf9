/**
 * Which access tokens a command uses: those of the source that a flag, the environment or the
 * profile names, else of the first in the chain that is there.
 */
import {
  type Choice,
  type Choosing,
  chooseSource,
  type Survey,
  surveySources,
} from '../auth/sources/chain.ts';
import type { Wanted } from '../auth/sources/source.ts';
import type { AccessToken, TokenSource } from '../auth/token-source.ts';
import { options, type Settings } from '../config/options.ts';
import { namedSources } from '../config/token-choice.ts';
import type { TokenSourceName } from '../config/values.ts';
import { WireError } from '../lib/wire-error.ts';
import { HealingTokens } from './healing-tokens.ts';
import type { Surroundings } from './surroundings.ts';
import { tokenCandidates } from './token-candidates.ts';
import { issuerOfToken } from './token-facts.ts';

/** Tokens, and whose they are. Give them back when they are needed no more. */
export interface ChosenTokens extends AsyncDisposable {
  readonly tokens: TokenSource;
  /** The provider that makes them; the name of the source where nobody says. */
  readonly issuer: string;
  readonly source: TokenSourceName;
  /** For people: `the file /run/token`. */
  readonly place: string;
  /** Its tokens are what they are: no other audience, no narrower scope can be had. */
  readonly fixed: boolean;
  /** What a person should know of the source. */
  readonly notes: readonly string[];
  /** `settings`, with what the source says of the role where they say nothing. */
  readonly settings: Settings;
}

/** What tokens shall be like beyond what `Settings` say. */
export interface TokenWishes {
  /** Default: all that was granted. Not `settings.scopes`: those are a login's. */
  readonly scopes?: readonly string[];
}

/**
 * @throws WireError `login-expired` when there are none; `usage` when it is unclear which; as the
 *   source whose turn it is, when it is there and cannot be used.
 */
export async function openTokens(
  settings: Settings,
  surroundings: Surroundings,
  signal: AbortSignal,
  wishes: TokenWishes = {},
): Promise<ChosenTokens> {
  const choosing = choosingOf(settings);
  const wanted = wantedOf(settings, wishes);
  const candidates = tokenCandidates(settings, wanted, surroundings);
  const { name, source } = await chooseSource(candidates, choosing, signal);
  const issuer = await issuerOf({ name, source }, settings, signal);
  const tokens =
    choosing.named === undefined && name !== 'login'
      ? new HealingTokens(source.tokens, issuer, wanted, surroundings)
      : source.tokens;
  surroundings.log.info('tokens chosen', { source: name, place: source.place, issuer });
  return {
    tokens,
    issuer,
    source: name,
    place: source.place,
    fixed: source.fixed,
    notes: source.notes,
    settings: withRole(settings, source),
    [Symbol.asyncDispose]: async () => await tokens[Symbol.asyncDispose]?.(),
  };
}

/** The whole chain as it would be for `settings`, and the choice that `openTokens` would make. */
export async function surveyTokens(
  settings: Settings,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Survey> {
  const candidates = tokenCandidates(settings, wantedOf(settings, {}), surroundings);
  return await surveySources(candidates, choosingOf(settings), signal);
}

/** @throws WireError `usage` when several sources are named. */
function choosingOf(settings: Settings): Choosing {
  const [named, ...others] = namedSources(settings);
  if (others.length > 0) {
    throw new WireError('usage', {
      tried: 'choose where tokens come from',
      answered: `several sources are named: ${[named, ...others].join(', ')}`,
      next: 'say which with --token-source',
    });
  }
  const { issuer } = settings;
  return { ...(named !== undefined && { named }), ...(issuer !== undefined && { issuer }) };
}

function wantedOf({ issuer, audience }: Settings, { scopes }: TokenWishes): Wanted {
  return {
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
    ...(scopes !== undefined && { scopes }),
  };
}

/** Asks for a token only where nothing else says whose tokens these are. */
async function issuerOf(
  { name, source }: Choice,
  settings: Settings,
  signal: AbortSignal,
): Promise<string> {
  const said = source.issuer ?? settings.issuer;
  if (said !== undefined) return said;
  // An opaque token cannot tell, however often it is asked for.
  if (source.fixed) return name;
  const token: AccessToken = await source.tokens.accessToken(0, signal);
  return issuerOfToken(token.token) ?? name;
}

/** What was said counts more than what the system set up for all programs. */
function withRole(settings: Settings, { role, sessionName }: Choice['source']): Settings {
  const unnamed = settings.sessionName === options.sessionName.fallback;
  return {
    ...(role !== undefined && { role }),
    ...settings,
    ...(sessionName !== undefined && unnamed && { sessionName }),
  };
}
