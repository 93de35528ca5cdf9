/** `-o` of `wire mount`: the words of mount(8) that mean something here. */
import type { MountOptions } from '../daemon/mount-parts.ts';
import { WireError } from '../lib/wire-error.ts';

/** For the help. */
export const mountWords =
  'ro,allow_other,uid=N,gid=N,umask=OOO,noatime,noexec,no_passthrough,fsname=NAME';

export interface GivenOptions {
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  readonly options: MountOptions;
}

type Options = { -readonly [Key in keyof MountOptions]: MountOptions[Key] };

/** Ids of users and groups end below -1, which stands for "nobody in particular". */
const ID_MAX = 2 ** 32 - 2;

/**
 * Words from left to right; a later one outweighs an earlier one. `nosuid`, `nodev` and
 * `subtype=wire` are how it is in any case.
 *
 * @throws WireError `usage` for a word that is not known, or a value that cannot be.
 */
export function readMountOptions(lists: readonly string[]): GivenOptions {
  let readOnly = false;
  let allowOther = false;
  const options: Options = {};
  const plain: Readonly<Record<string, () => void>> = {
    ro: () => (readOnly = true),
    rw: () => (readOnly = false),
    allow_other: () => (allowOther = true),
    default_permissions: () => (options.defaultPermissions = true),
    no_default_permissions: () => (options.defaultPermissions = false),
    noatime: () => (options.noAtime = true),
    relatime: () => (options.noAtime = false),
    noexec: () => (options.noExec = true),
    exec: () => (options.noExec = false),
    passthrough: () => (options.passthrough = true),
    no_passthrough: () => (options.passthrough = false),
    nosuid: () => undefined,
    nodev: () => undefined,
    'subtype=wire': () => undefined,
  };
  const valued: Readonly<Record<string, (value: string) => void>> = {
    uid: (value) => (options.uid = readNumber(`uid=${value}`, value, 10, ID_MAX)),
    gid: (value) => (options.gid = readNumber(`gid=${value}`, value, 10, ID_MAX)),
    umask: (value) => (options.umask = readNumber(`umask=${value}`, value, 8, 0o777)),
    fsname: (value) => (options.fsName = readName(value)),
  };
  for (const word of lists.flatMap((list) => list.split(',')).filter((each) => each !== '')) {
    const equals = word.indexOf('=');
    const set = Object.hasOwn(plain, word) ? plain[word] : undefined;
    const name = equals < 0 ? '' : word.slice(0, equals);
    const setTo = Object.hasOwn(valued, name) ? valued[name] : undefined;
    if (set !== undefined) set();
    else if (setTo !== undefined) setTo(word.slice(equals + 1));
    else throw refusal(word, 'it is no option of a mount', `known are ${mountWords}`);
  }
  return { readOnly, allowOther, options };
}

function readNumber(word: string, text: string, base: 8 | 10, most: number): number {
  const digits = base === 8 ? /^[0-7]{1,6}$/ : /^\d{1,10}$/;
  const value = digits.test(text) ? Number.parseInt(text, base) : Number.NaN;
  if (value <= most) return value;
  throw refusal(word, base === 8 ? 'it is no octal mask such as 022' : 'it is no number of a user');
}

/** It stands in the first column of a table. */
function readName(text: string): string {
  if (/^[^\0-\x20\x7f]{1,255}$/.test(text)) return text;
  throw refusal(`fsname=${text}`, 'it is empty, too long or has blanks in it');
}

function refusal(word: string, answered: string, next?: string): WireError {
  const tried = `mount with -o ${word}`;
  return new WireError(
    'usage',
    next === undefined ? { tried, answered } : { tried, answered, next },
  );
}
