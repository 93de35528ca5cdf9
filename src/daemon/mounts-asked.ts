/**
 * What is asked of the daemon when it is to mount, and what a note of a mount says: the same facts
 * as text. Settings are written as a person types them and read by the options' own parsers, so that
 * a daemon of another version refuses by name what it does not know.
 */
import { type OptionName, options, type Settings } from '../config/options.ts';
import type { Paths } from '../config/paths.ts';
import { settingText } from '../config/setting-text.ts';
import type { Environment } from '../config/settings.ts';
import { formatSource, parseSource, type Source } from '../config/source.ts';
import { WireError } from '../lib/wire-error.ts';
import { environmentOfMounts } from './daemon-environment.ts';
import { type MountOptions, transportNames } from './mount-parts.ts';
import type { MountOrigin, MountPair, MountsRequest } from './mounts-request.ts';

/** Raised when an older daemon would misunderstand a request of this version. */
export const MOUNTS_PROTOCOL = 1;

/** Who asks: where their tokens come from, and where their files are. */
export interface Caller {
  readonly environment: Environment;
  readonly paths: Paths;
}

export interface MountsAsked {
  readonly request: MountsRequest;
  readonly caller: Caller;
  /** Mounts that are there are saved and taken away first. */
  readonly replace: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** Secrets of the caller's environment are in it: it is for the control socket, and nothing else. */
export function formatMountsAsked({ request, caller, replace }: MountsAsked): string {
  const { paths } = caller;
  const environment = environmentOfMounts(caller.environment);
  return JSON.stringify({
    protocol: MOUNTS_PROTOCOL,
    ...requestFields(request),
    paths,
    environment,
    replace,
  });
}

/** @throws WireError `usage` for what is no such request, `unsupported` for one of another version. */
export function readMountsAsked(text: string): MountsAsked {
  const fields = fieldsOf(parse(text));
  if (fields['protocol'] !== MOUNTS_PROTOCOL) {
    throw unsupported(`requests of form ${String(fields['protocol'])}`);
  }
  const caller = { environment: textsOf(fields['environment']), paths: pathsOf(fields['paths']) };
  return { request: readRequestFields(fields), caller, replace: fields['replace'] === true };
}

/** Without anything of the environment: no secret is among the settings. */
export function requestFields(request: MountsRequest): Fields {
  const { mounts, settings, allowOther, makeDirectory, options: look, transport, origin } = request;
  return {
    mounts: mounts.map((pair) => ({ ...pair, source: formatSource(pair.source) })),
    settings: settingTexts(settings),
    allowOther,
    makeDirectory,
    ...(look !== undefined && { options: look }),
    ...(transport !== undefined && { transport }),
    ...(origin !== undefined && { origin }),
  };
}

/** @throws WireError `usage`, or `unsupported` for a setting that this version does not have. */
export function readRequestFields(fields: Fields): MountsRequest {
  const { mounts, settings, allowOther, makeDirectory, options: look, transport, origin } = fields;
  if (!Array.isArray(mounts) || mounts.length === 0) throw malformed('mounts');
  if (typeof allowOther !== 'boolean') throw malformed('allowOther');
  if (typeof makeDirectory !== 'boolean') throw malformed('makeDirectory');
  const named = transportNames.find((each) => each === transport);
  return {
    mounts: mounts.map(readPair),
    settings: readSettings(textsOf(settings)),
    allowOther,
    makeDirectory,
    ...(look !== undefined && { options: readLook(look) }),
    ...(named !== undefined && { transport: named }),
    ...(origin !== undefined && { origin: readOrigin(origin) }),
  };
}

function settingTexts(settings: Settings): Readonly<Record<string, string>> {
  const entries = Object.entries(settings) as (readonly [OptionName, unknown])[];
  return Object.fromEntries(entries.map(([name, value]) => [name, settingText(name, value)]));
}

function readSettings(texts: Readonly<Record<string, string>>): Settings {
  const values: Partial<Record<OptionName, unknown>> = {};
  for (const [name, text] of Object.entries(texts)) {
    if (!Object.hasOwn(options, name)) throw unsupported(`the setting ${name}`);
    const parsed = options[name as OptionName].parse(text);
    if (!parsed.ok) throw malformed(`settings.${name}`);
    values[name as OptionName] = parsed.value;
  }
  return values as Settings; // each value came out of its own option's parse
}

function readPair(value: unknown): MountPair {
  const { source, mountPoint, readOnly } = fieldsOf(value);
  if (typeof mountPoint !== 'string' || !mountPoint.startsWith('/') || mountPoint.includes('\0')) {
    throw malformed('mountPoint');
  }
  if (typeof readOnly !== 'boolean') throw malformed('readOnly');
  return { source: readSource(source), mountPoint, readOnly };
}

function readSource(value: unknown): Source {
  const parsed = parseSource(typeof value === 'string' ? value : '');
  if (!parsed.ok || parsed.value.kind === 'named') throw malformed('source');
  return parsed.value;
}

const lookTypes: Readonly<Record<keyof MountOptions, 'number' | 'boolean' | 'string'>> = {
  uid: 'number',
  gid: 'number',
  umask: 'number',
  defaultPermissions: 'boolean',
  noAtime: 'boolean',
  noExec: 'boolean',
  passthrough: 'boolean',
  fsName: 'string',
};

function readLook(value: unknown): MountOptions {
  const fields = fieldsOf(value);
  for (const [name, given] of Object.entries(fields)) {
    if (!Object.hasOwn(lookTypes, name)) throw unsupported(`the mount option ${name}`);
    if (typeof given !== lookTypes[name as keyof MountOptions]) throw malformed(`options.${name}`);
  }
  return fields; // each field has been looked at
}

function readOrigin(value: unknown): MountOrigin {
  const { profile, flags } = fieldsOf(value);
  const typed = Object.entries(textsOf(flags)).filter(([name]) => Object.hasOwn(options, name));
  return {
    flags: Object.fromEntries(typed),
    ...(typeof profile === 'string' && { profile }),
  };
}

function pathsOf(value: unknown): Paths {
  const fields = fieldsOf(value);
  const path = (name: string): string => {
    const given = fields[name];
    if (typeof given === 'string' && given.startsWith('/')) return given;
    throw malformed(`paths.${name}`);
  };
  return {
    configFile: path('configFile'),
    configFileNamed: fields['configFileNamed'] === true,
    stateDir: path('stateDir'),
    runtimeDir: path('runtimeDir'),
    cacheDir: path('cacheDir'),
    home: typeof fields['home'] === 'string' ? fields['home'] : undefined,
  };
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  const fields = fieldsOf(value);
  if (!Object.values(fields).every((each) => typeof each === 'string')) throw malformed('texts');
  return fields as Readonly<Record<string, string>>;
}

function fieldsOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw malformed('fields');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('JSON');
  }
}

function malformed(what: string): WireError {
  return new WireError('usage', { tried: 'read what to mount', answered: `no ${what}` });
}

function unsupported(what: string): WireError {
  return new WireError('unsupported', {
    tried: 'mount',
    answered: `the daemon that runs is of another version, which does not know ${what}`,
    next: 'run: wire remount --all, which goes on with the present version',
  });
}
