/**
 * `-o` of `mount -t wire` as words of `wire mount`: settings by the names of their flags, with dashes
 * or underscores; files of the machine's own; what mount(8) keeps for itself. Anything else is refused
 * by its name, and nothing that is refused is repeated with its value: it may be a secret. Pure.
 */
import { nearestWord } from '../../config/nearest-word.ts';
import { type Option, type OptionName, options as table } from '../../config/options.ts';
import { WireError } from '../../lib/wire-error.ts';
import {
  credentialOptions,
  networkOptions,
  readingOptions,
  tokenOptions,
  watchingOptions,
} from '../setting-flags.ts';

export interface OptionWords {
  /** Flags of `wire mount`, each one word. */
  readonly flags: readonly string[];
  /** For `-o` of `wire mount`. */
  readonly mountOptions: readonly string[];
  /** For the environment of wire. */
  readonly variables: Readonly<Record<string, string>>;
  /** Whose login is used; undefined: that of who calls. */
  readonly user?: string;
}

/** Every setting of `wire mount`. */
export const settingNames: readonly OptionName[] = [
  ...credentialOptions,
  'expiryWaitSeconds',
  ...readingOptions,
  ...watchingOptions,
  ...tokenOptions,
  ...networkOptions,
];

/** Options that name a file or a folder, and the variable that they set. */
export const placeVariables: Readonly<Record<string, string>> = {
  config: 'WIRE_CONFIG',
  'state-dir': 'WIRE_STATE_DIR',
  'runtime-dir': 'WIRE_RUNTIME_DIR',
  'key-file': 'WIRE_KEY_FILE',
};

/** Flags of every command. */
const commonFlags = ['profile', 'log-level', 'log-file'];

/** For mount(8), systemd.mount(5) and the kernel, or how it is in any case. */
const others = new Set([
  ...['defaults', 'auto', 'noauto', 'user', 'nouser', 'users', 'owner', 'group', 'nofail'],
  ...['_netdev', '_rnetdev', 'async', 'dirsync', 'nosuid', 'nodev', 'nosymfollow', 'silent'],
  ...['loud', 'nomand', 'norelatime', 'nostrictatime', 'nolazytime', 'diratime', 'nodiratime'],
  ...['atime', 'symfollow', 'nouhelper'],
]);

/** Why something that others have cannot be had here. */
const impossible: Readonly<Record<string, string>> = {
  remount: 'a mount that is there cannot be changed; unmount it, then mount it anew',
  suid: 'set-user-id programs of a bucket are never honoured; leave it out',
  dev: 'devices of a bucket are never honoured; leave it out',
  sync: 'close(2) waits for the bucket in any case, unless write_back is set; leave it out',
};

/** Words of `-o` of `wire mount` itself. */
const plainMountWords = new Set([
  ...['ro', 'rw', 'allow_other', 'default_permissions', 'no_default_permissions', 'noatime'],
  ...['relatime', 'noexec', 'exec', 'passthrough', 'no_passthrough', 'subtype=wire'],
]);
const valuedMountWords = new Set(['uid', 'gid', 'umask', 'fsname']);

/** Names of what nobody else may see; those of files with it are settings and known before. */
const SECRET = /token|secret|pass(?:word|wd|phrase)?$|credential|(?:access|api|session)[-_]?key/i;

/** @throws WireError `usage` for an option that is not known, unless `sloppy`, or is a secret. */
export function readOptionWords(list: readonly string[], sloppy: boolean): OptionWords {
  const flags: string[] = [];
  const mountOptions: string[] = [];
  const variables: Record<string, string> = {};
  let user: string | undefined;
  for (const word of list) {
    const equals = word.indexOf('=');
    const typed = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    const name = typed.replaceAll('_', '-');
    const isOthers = others.has(typed) || /^(?:x-|X-|comment$)/.test(typed);
    const variable = Object.hasOwn(placeVariables, name) ? placeVariables[name] : undefined;
    if (plainMountWords.has(word) || valuedMountWords.has(typed)) mountOptions.push(word);
    else if (isOthers || word === '') continue;
    else if (flagNames.has(name)) flags.push(flagWord(name, value));
    else if (variable !== undefined) variables[variable] = valueOf(typed, value);
    else if (typed === 'setuid') user = valueOf(typed, value);
    else if (SECRET.test(typed)) throw secretRefusal(typed);
    else if (Object.hasOwn(impossible, typed)) throw refusal(typed, impossible[typed] ?? '');
    else if (!sloppy) throw unknown(typed);
  }
  return { flags, mountOptions, variables, ...(user !== undefined && { user }) };
}

/** `cache-dir` for `--cache-dir <folder>`: whether a value may be left out. */
const flagNames: ReadonlyMap<string, boolean> = new Map([
  ...commonFlags.map((name) => [name, false] as const),
  ...settingNames.map((name) => {
    const option: Option<unknown> = table[name];
    const [flag = '', value = ''] = option.flag.split(' ');
    return [flag.slice(2), value.startsWith('[') || value === '<on|off>'] as const;
  }),
]);

function flagWord(name: string, value: string | undefined): string {
  const mayLack = flagNames.get(name) === true;
  return `--${name}=${value === undefined && mayLack ? 'on' : valueOf(name, value)}`;
}

function valueOf(name: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw refusal(name, 'its value is missing', `write: ${name}=VALUE`);
}

function secretRefusal(name: string): WireError {
  return refusal(
    name,
    'a secret does not belong here: who looks at /etc/fstab, /proc/mounts or ps would see it',
    'name a file that only its owner may read: token_file=FILE, mytoken_file=FILE, or key_file=FILE and state_dir=FOLDER of a login',
  );
}

function unknown(name: string): WireError {
  const known = [...flagNames.keys(), ...Object.keys(placeVariables), ...valuedMountWords];
  const near = nearestWord(name.replaceAll('_', '-'), [...known, ...plainMountWords, 'setuid']);
  const answered = 'wire has no such option';
  return refusal(name, answered, near === undefined ? 'see: man mount.wire' : `is it ${near}?`);
}

function refusal(name: string, answered: string, next?: string): WireError {
  const facts = { tried: `mount with -o ${name}`, answered };
  return new WireError('usage', next === undefined ? facts : { ...facts, next });
}
