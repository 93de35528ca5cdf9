/**
 * A mount that was asked for on the page is `wire mount --daemon` with the words that a person would
 * type: what it takes, refuses and prints is the same. This file alone knows how that is started.
 */
import { resolve } from 'node:path';
import { options } from '../config/options.ts';
import type { Flags } from '../config/settings.ts';
import type { StopSignals } from '../daemon/stop-signals.ts';
import { type AskedMount, HostRefusal } from '../daemon/ui/page-host.ts';
import { WireError } from '../lib/wire-error.ts';
import type { CommandContext } from './context.ts';

/** @param given flags of `wire ui` that hold for its mounts as well. */
export async function mountInBackground(
  asked: AskedMount,
  given: Flags,
  context: CommandContext,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const words = mountWords(asked, given, context.paths.home);
  const { environment } = context;
  const logFile = await context.detachedLogFile(signal);
  const command = [...thisProgram(context), ...words];
  const report = await context.startDetached({ command, environment, logFile }, stopping(signal));
  if (report.outcome === 'failed') throw new HostRefusal(report.line);
  return report.lines;
}

/** Pure: the words after `wire`. Values stand in one word with their flag: none is taken for a flag. */
export function mountWords(
  asked: AskedMount,
  given: Flags,
  home: string | undefined,
): readonly string[] {
  const { issuer, endpoint, role, audience, stsEndpoint, region, cache, writeBack } = asked;
  const typed: Flags = {
    ...given,
    ...(issuer !== undefined && { issuer }),
    ...(endpoint !== undefined && { endpoint }),
    ...(role !== undefined && { role }),
    ...(audience !== undefined && { audience }),
    ...(stsEndpoint !== undefined && { stsEndpoint }),
    ...(region !== undefined && { region }),
    ...(cache !== undefined && { cacheMode: cache }),
    ...(writeBack !== undefined && { writeBack }),
  };
  return [
    ...['mount', '--daemon'],
    ...(asked.makeFolder ? ['--mkdir'] : []),
    ...(asked.readOnly ? ['--read-only'] : []),
    ...(asked.profile === undefined ? [] : [`--profile=${asked.profile}`]),
    ...flagWords(typed),
    '--',
    ...placeWords(asked, home),
  ];
}

/** SOURCE MOUNTPOINT, or names of mounts in the profile. */
function placeWords(
  { names, source, mountPoint }: AskedMount,
  home: string | undefined,
): readonly string[] {
  if (names !== undefined) return names;
  // Without words all mounts of a profile would be meant.
  if (source === undefined) {
    const facts = { tried: 'mount', answered: 'nothing was named', next: 'write SOURCE' };
    throw new WireError('usage', facts);
  }
  if (mountPoint === undefined) return [source];
  return [source, placeOf(mountPoint, `mount ${source}`, home)];
}

/** A page has no working folder, and no shell that knows `~`. */
function placeOf(mountPoint: string, tried: string, home: string | undefined): string {
  if (mountPoint.startsWith('/')) return mountPoint;
  if (home !== undefined && mountPoint === '~') return home;
  if (home !== undefined && mountPoint.startsWith('~/')) return resolve(home, mountPoint.slice(2));
  throw new WireError('usage', {
    tried: `${tried} on ${mountPoint}`,
    answered: 'the page does not know below which folder',
    next: 'write all of the path, or one that begins with ~/',
  });
}

function flagWords(typed: Flags): readonly string[] {
  return (Object.keys(typed) as (keyof Flags)[]).flatMap((name) => {
    const long = options[name].flag.split(' ')[0] ?? '';
    const value = typed[name];
    return value === undefined ? [] : [`${long}=${value}`];
  });
}

/** Node's options and the script: `command` without the words of this run. */
function thisProgram({ command }: CommandContext): readonly string[] {
  return command.slice(0, process.execArgv.length + 1);
}

/** An end of the page stops what is being started, as Ctrl-C does. */
function stopping(signal: AbortSignal): StopSignals {
  return {
    listen: (listener) => {
      const stop = (): void => listener('SIGTERM');
      signal.addEventListener('abort', stop, { once: true });
      return { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) };
    },
  };
}
