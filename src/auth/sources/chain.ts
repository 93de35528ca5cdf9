/**
 * The sources of tokens in one order, and why each was used or not. The first that is there is
 * taken; one that is there and broken ends the search, since the next might be somebody else.
 */
import { WireError } from '../../lib/wire-error.ts';
import { sameIssuer } from '../issuer.ts';
import type { Candidate, FoundSource, SourceName } from './source.ts';

/** What narrows the choice. */
export interface Choosing {
  /** The source that a flag, the environment or a profile names. */
  readonly named?: SourceName;
  /** Tokens of another provider will not do. */
  readonly issuer?: string;
}

export interface Choice {
  readonly name: SourceName;
  readonly source: FoundSource;
}

/** One line of `wire whoami --explain`. Holds no secret. */
export interface SourceReport {
  readonly name: SourceName;
  /**
   * - `used`
   * - `refused`: its turn, but it cannot be used
   * - `passed-over`: there, but another is used, or it is for another provider
   * - `absent`
   */
  readonly state: 'used' | 'refused' | 'passed-over' | 'absent';
  /** Where it is and why that is so, as a clause. */
  readonly why: string;
}

/** The whole chain: every source looked at. */
export interface Survey {
  readonly reports: readonly SourceReport[];
  readonly choice?: Choice;
  /** Why there is no choice. */
  readonly failure?: WireError;
}

type Sight =
  | { readonly kind: 'usable'; readonly source: FoundSource }
  | { readonly kind: 'foreign'; readonly source: FoundSource; readonly why: string }
  | { readonly kind: 'absent'; readonly why: string }
  | { readonly kind: 'broken'; readonly error: WireError };

/**
 * The source to use. Looks no further than it must.
 *
 * @throws WireError of the source whose turn it was; `config` when a named one is not there;
 *   `login-expired` when there is none at all.
 */
export async function chooseSource(
  candidates: readonly Candidate[],
  choosing: Choosing,
  signal: AbortSignal,
): Promise<Choice> {
  for (const candidate of eligible(candidates, choosing)) {
    const outcome = outcomeOf(candidate.name, await see(candidate, choosing, signal), choosing);
    if (outcome instanceof WireError) throw outcome;
    if (outcome !== undefined) return outcome;
  }
  throw nothing(choosing);
}

/** Looks at every source, also at those that cannot be chosen any more. */
export async function surveySources(
  candidates: readonly Candidate[],
  choosing: Choosing,
  signal: AbortSignal,
): Promise<Survey> {
  const reports: SourceReport[] = [];
  let decided: Choice | WireError | undefined;
  for (const candidate of candidates) {
    const { name } = candidate;
    const sight = await see(candidate, choosing, signal);
    const turn = decided === undefined && eligible([candidate], choosing).length > 0;
    if (turn) decided = outcomeOf(name, sight, choosing);
    const taker = decided instanceof WireError ? undefined : decided?.name;
    reports.push(reportOf(name, sight, turn, { choosing, taker }));
  }
  const end = decided ?? nothing(choosing);
  return end instanceof WireError ? { reports, failure: end } : { reports, choice: end };
}

function eligible(candidates: readonly Candidate[], { named }: Choosing): readonly Candidate[] {
  return candidates.filter(({ name }) => named === undefined || name === named);
}

async function see(candidate: Candidate, choosing: Choosing, signal: AbortSignal): Promise<Sight> {
  try {
    const finding = await candidate.look(signal);
    if (!finding.there) return { kind: 'absent', why: finding.why };
    const { source } = finding;
    const { issuer } = choosing;
    if (issuer === undefined || source.issuer === undefined || sameIssuer(issuer, source.issuer)) {
      return { kind: 'usable', source };
    }
    return { kind: 'foreign', source, why: `it is of ${source.issuer}, and ${issuer} is wanted` };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WireError) return { kind: 'broken', error };
    throw error;
  }
}

/** What a source means for the choice in its turn; undefined: the next one's turn. */
function outcomeOf(
  name: SourceName,
  sight: Sight,
  choosing: Choosing,
): Choice | WireError | undefined {
  switch (sight.kind) {
    case 'usable':
      return { name, source: sight.source };
    case 'broken':
      return sight.error;
    case 'foreign':
    case 'absent':
      return choosing.named === undefined ? undefined : unfit(name, sight.why);
  }
}

interface Context {
  readonly choosing: Choosing;
  readonly taker: SourceName | undefined;
}

function reportOf(name: SourceName, sight: Sight, turn: boolean, context: Context): SourceReport {
  switch (sight.kind) {
    case 'absent':
      return { name, state: 'absent', why: sight.why };
    case 'broken':
      return turn
        ? { name, state: 'refused', why: sight.error.toLine() }
        : { name, state: 'passed-over', why: `${laterWhy(context)}; also ${sight.error.toLine()}` };
    case 'foreign':
      // Named, and for another provider: nothing else may take its place.
      return {
        name,
        state: turn && context.choosing.named !== undefined ? 'refused' : 'passed-over',
        why: `${sight.source.place}: ${sight.why}`,
      };
    case 'usable':
      return turn
        ? { name, state: 'used', why: sight.source.place }
        : { name, state: 'passed-over', why: `${sight.source.place}: ${laterWhy(context)}` };
  }
}

function laterWhy({ choosing: { named }, taker }: Context): string {
  if (named !== undefined) return `${named} was named`;
  return taker === undefined ? 'an earlier source is refused' : `${taker} comes first`;
}

function unfit(name: SourceName, why: string): WireError {
  const next = 'see what there is with: wire whoami --explain';
  return new WireError('config', {
    tried: `take tokens from ${name}, as named`,
    answered: why,
    next,
  });
}

function nothing({ issuer }: Choosing): WireError {
  const tried = issuer === undefined ? 'use a login' : `use a login at ${issuer}`;
  const answered = 'nobody is logged in, and no token was found elsewhere';
  const next = `run: wire login ${issuer ?? 'ISSUER'} (where tokens are looked for: wire whoami --explain)`;
  return new WireError('login-expired', { tried, answered, next });
}
