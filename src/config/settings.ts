/** Which value holds: flag > environment > profile > fallback. */
import { WireError } from '../lib/wire-error.ts';
import { type Option, type OptionName, options, type Settings } from './options.ts';
import { overridingSources } from './token-choice.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Flags as typed; a flag that may be repeated comes joined by spaces. */
export type Flags = Readonly<Partial<Record<OptionName, string>>>;

/**
 * The settings of one command.
 *
 * @throws WireError `usage` for a bad flag, `config` for bad environment; all of them at once.
 */
export function resolveSettings(
  flags: Flags,
  environment: Environment,
  profile: Settings,
): Settings {
  const values: Partial<Record<OptionName, unknown>> = {};
  const faults: Fault[] = [];
  for (const name of Object.keys(options) as OptionName[]) {
    const option: Option<unknown> = options[name];
    const typed = typedValue(option, flags[name], environment);
    if (typed === undefined) {
      const value = profile[name] ?? option.fallback;
      if (value !== undefined) values[name] = value;
      continue;
    }
    const parsed = option.parse(typed.text);
    if (parsed.ok) values[name] = parsed.value;
    else faults.push({ kind: typed.kind, text: `${typed.from} ${parsed.fault}` });
  }
  const named = overridingSources([
    (name) => flags[name] !== undefined,
    (name) => Boolean(environment[options[name].environment]),
    (name) => profile[name] !== undefined,
  ]);
  if (named !== undefined && named.length > 1) {
    const text = `several token sources are named: ${named.join(', ')} (say which with --token-source)`;
    faults.push({ kind: 'usage', text });
  } else if (named?.[0] !== undefined) values.tokenSource = named[0];
  if (faults.length > 0) throw faultsError(faults);
  // Each value came out of its own option's parse, fallback or profile.
  return values as Settings;
}

interface Fault {
  readonly kind: 'usage' | 'config';
  readonly text: string;
}

interface TypedValue {
  readonly text: string;
  readonly from: string;
  readonly kind: 'usage' | 'config';
}

/** An empty variable is an unset one, as for most programs. */
function typedValue(
  option: Option<unknown>,
  flag: string | undefined,
  environment: Environment,
): TypedValue | undefined {
  if (flag !== undefined) {
    const from = `${option.flag.split(' ')[0] ?? ''} ${flag}`;
    return { text: flag, from, kind: 'usage' };
  }
  const text = environment[option.environment];
  if (text === undefined || text === '') return undefined;
  return { text, from: `${option.environment}=${text}`, kind: 'config' };
}

function faultsError(faults: readonly Fault[]): WireError {
  const kind = faults.some((fault) => fault.kind === 'usage') ? 'usage' : 'config';
  return new WireError(kind, {
    tried: 'use these settings',
    answered: faults.map((fault) => fault.text).join('; '),
  });
}
