/** What is wrong with a configuration: the file, and the environment that outweighs it. Pure. */
import { logLevels } from '../lib/log.ts';
import type { Config, ConfigFault, Profile } from './config.ts';
import { readConfig } from './load.ts';
import { nearestWord } from './nearest-word.ts';
import { type Option, type OptionName, options } from './options.ts';
import type { Environment } from './settings.ts';
import { impliedSources } from './token-choice.ts';

export interface VariableFault {
  readonly variable: string;
  /** Completes the sentence "this value …". */
  readonly fault: string;
}

export interface CheckedConfig {
  readonly config: Config;
  /** In the order of the file. */
  readonly faults: readonly ConfigFault[];
  readonly variables: readonly VariableFault[];
}

/** Variables of wire that are in no table of options. */
const otherVariables = [
  'WIRE_CONFIG',
  'WIRE_PROFILE',
  'WIRE_STATE_DIR',
  'WIRE_RUNTIME_DIR',
  'WIRE_LOG',
  'WIRE_LOG_FILE',
  'WIRE_KEY_FILE',
  'WIRE_NO_KEYCHAIN',
] as const;

/** Everything that is wrong with `text` as the file `path`, and with variables of wire. */
export function checkConfig(
  text: string,
  path: string,
  home: string | undefined,
  environment: Environment,
): CheckedConfig {
  const { config, faults } = readConfig(text, path, home);
  const profiles = [...config.profiles.values()];
  const found = [...faults, ...profiles.flatMap(contradictions)];
  return {
    config,
    faults: found.sort((a, b) => a.line - b.line),
    variables: [...variableFaults(environment), ...choiceFaults(environment, config)],
  };
}

/** What each key allows by itself, and not together. */
function contradictions({ name, settings, lines }: Profile): readonly ConfigFault[] {
  if (settings.tokenSource !== undefined) return [];
  const sources = impliedSources((option) => settings[option] !== undefined);
  if (sources.length < 2) return [];
  const at = [...lines].filter(([option]) => impliedSources((one) => one === option).length > 0);
  const fault = `names several token sources: ${sources.join(', ')} (say which with token-source)`;
  const line = Math.max(1, ...at.map(([, each]) => each));
  return [{ line, key: `profiles.${name}`, fault }];
}

function variableFaults(environment: Environment): readonly VariableFault[] {
  const byVariable = new Map(
    (Object.keys(options) as OptionName[]).map((name): [string, Option<unknown>] => {
      return [options[name].environment, options[name]];
    }),
  );
  const known = [...byVariable.keys(), ...otherVariables];
  return Object.entries(environment).flatMap(([variable, text]): VariableFault[] => {
    if (!variable.startsWith('WIRE_') || !text) return [];
    const parsed = byVariable.get(variable)?.parse(text);
    if (parsed !== undefined) return parsed.ok ? [] : [{ variable, fault: parsed.fault }];
    if (known.includes(variable)) return [];
    const meant = nearestWord(variable, known);
    return meant === undefined
      ? []
      : [{ variable, fault: `is no variable of wire: is ${meant} meant?` }];
  });
}

/** Variables that choose among what there is. */
function choiceFaults(environment: Environment, { profiles }: Config): readonly VariableFault[] {
  const { WIRE_PROFILE: profile, WIRE_LOG: level } = environment;
  const names = [...profiles.keys()].join(', ');
  const faults: VariableFault[] = [];
  if (profile && !profiles.has(profile)) {
    const fault = names === '' ? 'names a profile, and there is none' : `is none of ${names}`;
    faults.push({ variable: 'WIRE_PROFILE', fault });
  }
  if (level && !logLevels.some((known) => known === level)) {
    faults.push({ variable: 'WIRE_LOG', fault: `is none of ${logLevels.join(', ')}` });
  }
  return faults;
}
