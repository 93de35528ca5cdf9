/**
 * Patterns of AWS policies: literal text, `*` (any run), `?` (one character) and variables.
 * `${jwt:groups}` stands for each value of a claim in turn, always as literal text: a person
 * called `*` gets a folder of that name, not everybody's. `${*}`, `${?}` and `${$}` escape.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 */

/** Values by variable name without the braces (`jwt:sub`). An absent name has no value. */
export type Variables = Readonly<Record<string, readonly string[]>>;

export interface PatternSyntax {
  /** Whether `*` and `?` are special; they are not in `StringEquals`. */
  readonly wildcards: boolean;
  /** Whether `${...}` is special; only since Version 2012-10-17. */
  readonly variables: boolean;
  readonly ignoreCase: boolean;
}

type Token =
  | { readonly kind: 'any' }
  | { readonly kind: 'one' }
  | { readonly kind: 'character'; readonly character: string }
  | { readonly kind: 'variable'; readonly name: string };

type Glyph = Exclude<Token, { readonly kind: 'variable' }>;

export interface Pattern {
  readonly tokens: readonly Token[];
  readonly ignoreCase: boolean;
}

const escapes: ReadonlySet<string> = new Set(['*', '?', '$']);

export function parsePattern(source: string, syntax: PatternSyntax): Pattern {
  const tokens: Token[] = [];
  const pieces = syntax.variables ? source.split(/(\$\{[^}]*\})/) : [source];
  for (const [index, piece] of pieces.entries()) {
    // `split` with a group gives text at even places and what the group caught at odd ones.
    if (index % 2 === 0) tokens.push(...textTokens(piece, syntax));
    else tokens.push(variableToken(piece.slice(2, -1)));
  }
  return { tokens, ignoreCase: syntax.ignoreCase };
}

function textTokens(text: string, syntax: PatternSyntax): Token[] {
  return Array.from(text, (character): Token => {
    if (syntax.wildcards && character === '*') return { kind: 'any' };
    if (syntax.wildcards && character === '?') return { kind: 'one' };
    return { kind: 'character', character: fold(character, syntax.ignoreCase) };
  });
}

function variableToken(name: string): Token {
  return escapes.has(name) ? { kind: 'character', character: name } : { kind: 'variable', name };
}

function fold(text: string, ignoreCase: boolean): string {
  return ignoreCase ? text.toLowerCase() : text;
}

/** Whether `text` as a whole matches for at least one choice of the variables' values. */
export function matches(pattern: Pattern, text: string, variables: Variables): boolean {
  const names = new Set<string>();
  for (const token of pattern.tokens) if (token.kind === 'variable') names.add(token.name);
  const characters = Array.from(fold(text, pattern.ignoreCase));
  return bindings([...names], variables).some((binding) =>
    glyphsMatch(expand(pattern, binding), characters),
  );
}

type Binding = ReadonlyMap<string, string>;

/** Every way to give each name one of its values; none if a name has no value. */
function bindings(names: readonly string[], variables: Variables): readonly Binding[] {
  let all: readonly Binding[] = [new Map<string, string>()];
  for (const name of names) {
    const values = Object.hasOwn(variables, name) ? (variables[name] ?? []) : [];
    all = all.flatMap((binding) => values.map((value) => new Map([...binding, [name, value]])));
  }
  return all;
}

function expand(pattern: Pattern, binding: Binding): readonly Glyph[] {
  return pattern.tokens.flatMap((token): readonly Glyph[] => {
    if (token.kind !== 'variable') return [token];
    const value = fold(binding.get(token.name) ?? '', pattern.ignoreCase);
    return Array.from(value, (character): Glyph => ({ kind: 'character', character }));
  });
}

/** Greedy with one point of return, the last `*`: at most pattern length x text length steps. */
function glyphsMatch(glyphs: readonly Glyph[], text: readonly string[]): boolean {
  let glyphAt = 0;
  let textAt = 0;
  let lastAny = -1;
  let anyEnd = 0;
  while (textAt < text.length) {
    const glyph = glyphs[glyphAt];
    if (glyph?.kind === 'any') {
      lastAny = glyphAt;
      anyEnd = textAt;
      glyphAt += 1;
    } else if (glyph?.kind === 'one' || glyph?.character === text[textAt]) {
      glyphAt += 1;
      textAt += 1;
    } else if (lastAny >= 0) {
      anyEnd += 1;
      textAt = anyEnd;
      glyphAt = lastAny + 1;
    } else {
      return false;
    }
  }
  return glyphs.slice(glyphAt).every((glyph) => glyph.kind === 'any');
}
