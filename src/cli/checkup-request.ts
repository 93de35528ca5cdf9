/** What `wire doctor` and `wire report` are to look at, by their arguments and settings. */
import type { Command } from 'commander';
import type { Profile } from '../config/config.ts';
import { type OriginatedSetting, originsOf } from '../config/setting-origins.ts';
import { parseSource, type Source } from '../config/source.ts';
import type { CheckupRequest } from '../daemon/doctor/visit.ts';
import { WireError } from '../lib/wire-error.ts';
import { type CommandContext, commandSettings } from './context.ts';

export interface CheckupArguments {
  readonly request: CheckupRequest;
  /** Where each setting comes from. */
  readonly origins: Readonly<Record<string, OriginatedSetting>>;
}

/**
 * A configuration file that cannot be used is something to be told, and no reason to look no
 * further.
 *
 * @throws WireError `usage`.
 */
export async function readCheckup(
  context: CommandContext,
  command: Command,
): Promise<CheckupArguments> {
  const { readOnly = false } = command.opts<{ readOnly?: boolean }>();
  const [word, ...more] = command.args;
  if (more.length > 0) throw refusal(more.join(' '), 'one SOURCE is enough');
  try {
    const { profile, settings, flags } = await commandSettings(context, command);
    const named = word === undefined ? undefined : sourceOf(word, profile);
    const request = {
      settings,
      profile: profile.name,
      readOnly: readOnly || (named?.readOnly ?? false),
      ...(named !== undefined && { source: named.source }),
    };
    return { request, origins: originsOf(settings, flags, context.environment, profile) };
  } catch (error) {
    if (!(error instanceof WireError) || error.kind !== 'config') throw error;
    const request = { settings: {}, profile: '', readOnly: true, configTrouble: error };
    return { request, origins: {} };
  }
}

function sourceOf(
  word: string,
  profile: Profile,
): { readonly source: Source; readonly readOnly: boolean } {
  const parsed = parseSource(word);
  if (!parsed.ok) throw refusal(word, `it ${parsed.fault}`);
  const source = parsed.value;
  if (source.kind !== 'named') return { source, readOnly: false };
  const entry = profile.mounts.get(source.name);
  if (entry !== undefined) return entry;
  throw refusal(word, 'it is no mount of the profile', `for a bucket write s3://${word}`);
}

function refusal(word: string, answered: string, next?: string): WireError {
  const tried = `look at ${word}`;
  return new WireError(
    'usage',
    next === undefined ? { tried, answered } : { tried, answered, next },
  );
}
