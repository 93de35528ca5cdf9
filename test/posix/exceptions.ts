/**
 * Where a mount differs from POSIX, by the name of the check that shows it. docs/SEMANTICS.md has a
 * line for each; an exception whose check holds is stale, and fails the run.
 */

import { HOLDS } from './check.ts';

export type Mode = 'default' | 'posix';

/** The mount whose results are looked at. */
export interface Mounted {
  readonly mode: Mode;
  /** As in `storeNames`. */
  readonly store: string;
}

export interface Exception {
  /** Of stores whose names begin with this, and no others. Default: of all. */
  readonly store?: 'minio';
  /** What the check ends with, word for word. A mode that is not named has no exception. */
  readonly outcome: Readonly<Partial<Record<Mode, string>>>;
  /** One sentence, the same as in docs/SEMANTICS.md. */
  readonly why: string;
}

/** The same in both modes. */
function always(outcome: string): Exception['outcome'] {
  return { default: outcome, posix: outcome };
}

const hardLinks = 'An object has one key: a file has one name.';
const nameless = 'Every object has a key, so that a file without a name has no place.';
const exchange = 'A store cannot swap two keys at once; a swap in steps could be seen half done.';
const inodeNumbers =
  'The inode number is made of the name, so that it is the same on every mount; open handles keep theirs.';

const minioNames: Exception = {
  store: 'minio',
  outcome: always('mkdirat: ENAMETOOLONG'),
  why: 'MinIO only: its disk adds to the names of directories, and has no room for the longest.',
};

export const exceptions: Readonly<Record<string, Exception>> = {
  'link makes a second name of a file': { outcome: always('linkat: EPERM'), why: hardLinks },
  'O_TMPFILE makes a file without a name, with content': {
    outcome: always('openat: EOPNOTSUPP'),
    why: nameless,
  },
  'linkat gives a nameless file a name': { outcome: always('openat: EOPNOTSUPP'), why: nameless },
  'RENAME_EXCHANGE swaps two files': { outcome: always('renameat2: EINVAL'), why: exchange },
  'RENAME_EXCHANGE swaps a file and a directory': {
    outcome: always('renameat2: EINVAL'),
    why: exchange,
  },
  'a name that is not UTF-8 is kept': {
    outcome: always('openat: EINVAL'),
    why: 'Keys are UTF-8.',
  },
  'a name of 255 bytes is a name': minioNames,
  'a name of 255 bytes in letters of several bytes is a name': minioNames,
  'a path with nested names of over 1,000 bytes together is kept': {
    outcome: always('openat: ENAMETOOLONG'),
    why: 'Keys have at most 1,024 bytes, the names of all directories above counted.',
  },
  'rename keeps the inode number of a file': {
    outcome: always('"another", not "the same"'),
    why: inodeNumbers,
  },
  'utimensat keeps nanoseconds': {
    outcome: always('["-2n","-2n"], not ["0n","1n"]'),
    why: 'Times are exact to a quarter of a microsecond.',
  },
  'rename keeps the inode number of a directory': {
    outcome: always('"another", not "the same"'),
    why: inodeNumbers,
  },
};

/** The lines of the table in docs/SEMANTICS.md. */
export function exceptionRows(): readonly string[] {
  return Object.entries(exceptions).map(([name, { outcome, why }]) => {
    const cell = (mode: Mode): string => outcome[mode] ?? HOLDS;
    return `| ${name} | ${cell('default')} | ${cell('posix')} | ${why} |`;
  });
}

/** What a check ends with on a mount. */
export function expectedOutcome(name: string, { mode, store }: Mounted): string {
  const exception = exceptions[name];
  if (exception?.store !== undefined && !store.startsWith(exception.store)) return HOLDS;
  return exception?.outcome[mode] ?? HOLDS;
}

/**
 * What is wrong with the results of a mount; nothing, if all is as it is written.
 *
 * @param isWhole whether all checks were run.
 */
export function complaints(
  results: readonly { readonly name: string; readonly outcome: string }[],
  mounted: Mounted,
  isWhole = true,
): readonly string[] {
  const wrong: string[] = [];
  const outcomes = new Map(results.map(({ name, outcome }) => [name, outcome]));
  for (const [name, outcome] of outcomes) {
    const expected = expectedOutcome(name, mounted);
    if (outcome === expected) continue;
    wrong.push(
      outcome === HOLDS
        ? `${name}: the exception is stale, the check holds`
        : `${name}: ${outcome}${expected === HOLDS ? '' : ` (the exception says ${expected})`}`,
    );
  }
  for (const name of Object.keys(exceptions)) {
    if (isWhole && !outcomes.has(name)) wrong.push(`${name}: an exception of no check`);
  }
  return wrong;
}
