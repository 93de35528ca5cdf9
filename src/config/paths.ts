/**
 * Where wire keeps its files: XDG folders, or one folder each that `WIRE_CONFIG`, `WIRE_STATE_DIR`
 * and `WIRE_RUNTIME_DIR` name. Works without HOME and without XDG_RUNTIME_DIR: then a folder in
 * the temporary directory, named with the uid and used only if it is ours alone.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../lib/make-folders.ts';
import { WireError } from '../lib/wire-error.ts';
import type { Environment } from './settings.ts';

export interface Paths {
  readonly configFile: string;
  /** Whether `configFile` was asked for by name: then it must be there. */
  readonly configFileNamed: boolean;
  /** Logins and logs: survives a reboot. */
  readonly stateDir: string;
  /** Control sockets: gone after a reboot. */
  readonly runtimeDir: string;
  /** May be deleted at any time. */
  readonly cacheDir: string;
  /** The home folder, where there is one. */
  readonly home: string | undefined;
}

/** What is known about the user and the system. */
export interface PlaceFacts {
  readonly environment: Environment;
  /** From the user database; undefined where there is no entry. */
  readonly home: string | undefined;
  /** -1 where the system has none. */
  readonly uid: number;
  readonly temporaryDir: string;
}

/** Pure: nothing is created or looked at. */
export function locatePaths(facts: PlaceFacts): Paths {
  const { environment, uid, temporaryDir } = facts;
  const home = absolute(environment['HOME']) ?? absolute(facts.home);
  // Flat names: the sticky bit of the temporary folder protects what lies directly in it.
  const fallback = (use: string): string =>
    join(temporaryDir, uid < 0 ? `wire-${use}` : `wire-${uid}-${use}`);
  // XDG Base Directory Specification 0.8: relative paths in these variables are to be ignored.
  const xdg = (use: string, variable: string, ...inHome: readonly string[]): string => {
    const base = absolute(environment[variable]) ?? (home && join(home, ...inHome));
    return base === undefined ? fallback(use) : join(base, 'wire');
  };
  const runtimeBase = absolute(environment['XDG_RUNTIME_DIR']);
  const configFile = given(environment['WIRE_CONFIG']);
  return {
    configFile: configFile ?? join(xdg('config', 'XDG_CONFIG_HOME', '.config'), 'config.yaml'),
    configFileNamed: configFile !== undefined,
    stateDir:
      given(environment['WIRE_STATE_DIR']) ?? xdg('state', 'XDG_STATE_HOME', '.local', 'state'),
    runtimeDir:
      given(environment['WIRE_RUNTIME_DIR']) ??
      (runtimeBase === undefined ? fallback('run') : join(runtimeBase, 'wire')),
    cacheDir: xdg('cache', 'XDG_CACHE_HOME', '.cache'),
    home,
  };
}

/** An empty variable is an unset one. */
function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function absolute(path: string | undefined): string | undefined {
  return path?.startsWith('/') === true ? path : undefined;
}

/**
 * Makes sure that `path` is a folder which only we can enter, with its parents.
 *
 * @throws WireError `config` when it is not ours, a link, or open to others.
 */
export async function ensurePrivateDir(
  path: string,
  uid: number,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  try {
    await makeFolders(path, 0o700);
  } catch (error) {
    throw refusal(path, (error as NodeJS.ErrnoException).code ?? String(error), error);
  }
  // lstat: a link that somebody else put there must not lead us elsewhere.
  const facts = await lstat(path);
  if (!facts.isDirectory()) throw refusal(path, 'it is not a folder');
  if (uid >= 0 && facts.uid !== uid) throw refusal(path, `it belongs to uid ${facts.uid}`);
  if (uid >= 0 && (facts.mode & 0o077) !== 0) {
    throw refusal(path, 'others can enter it', undefined, `run: chmod 700 ${path}`);
  }
}

function refusal(path: string, answered: string, cause?: unknown, next?: string): WireError {
  const advice = next ?? 'set WIRE_STATE_DIR and WIRE_RUNTIME_DIR to folders of your own';
  return new WireError(
    'config',
    { tried: `use ${path} for private files`, answered, next: advice },
    { cause },
  );
}
