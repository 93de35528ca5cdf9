/**
 * `--rcloneMountFlags` of sts-wire: flags of `rclone mount` (rclone.org/commands/rclone_mount) as
 * words of `wire mount`. Each is translated, needless here, or refused by its name.
 */
import { WireError } from '../../lib/wire-error.ts';

export interface TranslatedFlags {
  /** For `wire mount`. */
  readonly words: readonly string[];
  /** What wire needs no telling of. */
  readonly needless: readonly string[];
}

type Translation = (value: string) => readonly string[];

/** Flags with a value. */
const valued: Readonly<Record<string, Translation>> = {
  '--uid': (id) => ['-o', `uid=${id}`],
  '--gid': (id) => ['-o', `gid=${id}`],
  '--umask': (mask) => ['-o', `umask=${mask}`],
  '--option': (option) => ['-o', option],
  '-o': (option) => ['-o', option],
  '--devname': (name) => ['-o', `fsname=${name}`],
  '--dir-cache-time': (time) => ['--list-ttl', `${goDurationMs('--dir-cache-time', time)}ms`],
  '--vfs-cache-mode': cacheWords,
  '--vfs-cache-max-size': (size) => (size === 'off' ? [] : ['--cache-size', rcloneSize(size)]),
  '--cache-dir': (folder) => ['--cache-dir', folder],
  '--log-level': (level) => ['--log-level', wireLogLevel(level)],
};

const switches: Readonly<Record<string, readonly string[]>> = {
  '--allow-other': ['--allow-other'],
  '--read-only': ['--read-only'],
  '--default-permissions': ['-o', 'default_permissions'],
  '--daemon': ['--daemon'],
};

/** wire does by itself what they are for, or never does what they turn off. */
const needlessValued = new Set([
  '--attr-timeout',
  '--buffer-size',
  '--vfs-read-ahead',
  '--vfs-read-chunk-size',
  '--vfs-read-chunk-size-limit',
  '--vfs-read-wait',
  '--vfs-write-wait',
  '--vfs-write-back',
  '--vfs-cache-max-age',
  '--vfs-cache-poll-interval',
  '--vfs-disk-space-total-size',
  '--poll-interval',
  '--max-read-ahead',
  '--daemon-timeout',
  '--daemon-wait',
  '--volname',
]);
const needlessSwitches = new Set([
  '--async-read',
  '--no-modtime',
  '--no-checksum',
  '--no-seek',
  '--noappledouble',
  '--noapplexattr',
  '--network-mode',
  '--use-server-modtime',
  '--update',
  '--cache-db-purge',
  '--vfs-fast-fingerprint',
]);

/** Why others cannot be had, where there is more to say than that. */
const refused: Readonly<Record<string, string>> = {
  '--allow-root': 'take --allow-other',
  '--allow-non-empty': 'what lies in the folder would be hidden: empty it',
  '--write-back-cache': 'it breaks programs that append: take --localCache writes',
  '--file-perms': 'take --umask',
  '--dir-perms': 'take --umask',
};

/** @throws WireError `usage` for a flag that wire has nothing for, or without its value. */
export function translateMountFlags(text: string): TranslatedFlags {
  const words: string[] = [];
  const needless: string[] = [];
  const left = splitWords(text);
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const name = equals < 0 ? word : word.slice(0, equals);
    const given = equals < 0 ? undefined : word.slice(equals + 1);
    const translate = Object.hasOwn(valued, name) ? valued[name] : undefined;
    if (translate !== undefined || needlessValued.has(name)) {
      const value = given ?? left.shift();
      if (value === undefined) throw refusal(name, 'its value is missing');
      if (translate === undefined) needless.push(name);
      else words.push(...translate(value));
    } else if (given === 'false' && isSwitch(name)) needless.push(name);
    else if (Object.hasOwn(switches, name)) words.push(...(switches[name] ?? []));
    else if (needlessSwitches.has(name)) needless.push(name);
    else throw refusal(name, 'wire has no such option', refused[name]);
  }
  return { words, needless };
}

/** What is kept on the disk, and with `writes` and `full` also what close(2) waits for. */
export function cacheWords(mode: string): readonly string[] {
  const writesBack = mode === 'writes' || mode === 'full';
  return ['--cache', mode, ...(writesBack ? ['--write-back=on'] : [])];
}

/** Levels of rclone (rclone.org/docs, `--log-level`). */
export function wireLogLevel(level: string): string {
  const known: Readonly<Record<string, string>> = {
    DEBUG: 'debug',
    INFO: 'info',
    NOTICE: 'info',
    ERROR: 'error',
  };
  return known[level.toUpperCase()] ?? level;
}

function isSwitch(name: string): boolean {
  return Object.hasOwn(switches, name) || needlessSwitches.has(name);
}

/** Words between blanks; quotes keep blanks in a word. */
function splitWords(text: string): string[] {
  const found = text.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g);
  return Array.from(found, ([word]) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'));
}

/** KiB when no unit is given (rclone.org/docs, `SizeSuffix`). */
function rcloneSize(size: string): string {
  return /^\d+$/.test(size) ? `${size}K` : size;
}

/** `1m30s`, `500ms`, `5m0s` (Go, `time.ParseDuration`). */
function goDurationMs(name: string, text: string): number {
  const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(text)) {
    throw refusal(`${name} ${text}`, 'it is no duration such as 5m or 1m30s');
  }
  let sum = 0;
  for (const [, digits = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)) {
    sum += Number(digits) * (unitMs[unit] ?? 0);
  }
  return Math.round(sum);
}

function refusal(word: string, answered: string, next?: string): WireError {
  const tried = `take ${word} of --rcloneMountFlags`;
  return new WireError('usage', {
    tried,
    answered,
    next: next ?? 'see docs/MIGRATING.md for what there is',
  });
}
