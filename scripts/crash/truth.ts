/**
 * What must be true after a crash. Each writer has its own names and does one thing at a time: what
 * was acknowledged is known exactly, and at most one change was under way, which may be there or
 * not. Nothing else may be there.
 */

/** Content of one file, at one moment. */
export interface Version {
  readonly kind: 'file';
  readonly bytes: number;
  readonly hash: string;
  /** fsync has said that the bucket has it, under this name. */
  readonly synced: boolean;
}

export interface Directory {
  readonly kind: 'directory';
}

/** What is at a path; null: nothing. JSON, in which this is told, has no undefined. */
export type Present = Version | Directory | null;

export type Changes = Readonly<Record<string, Present>>;

/** A change that was not acknowledged. */
export interface Pending {
  /** For people. */
  readonly what: string;
  /** What it may leave, besides nothing. */
  readonly outcomes: readonly {
    readonly changes: Changes;
    /** Neither before nor after: nothing is lost, and a program would see that it was interrupted. */
    readonly half?: boolean;
  }[];
}

/** What one writer knows. */
export interface Truth {
  /** Every path of it that is there. */
  readonly present: Readonly<Record<string, Version | Directory>>;
  /** Paths that were there once. */
  readonly gone: readonly string[];
  readonly pending?: Pending;
}

/** What was found, by path. */
export type Found = ReadonlyMap<string, Version | Directory>;

export interface Verdict {
  /** Why it is not as it must be; empty when it is. */
  readonly wrong: readonly string[];
  /** How the change under way came out. */
  readonly pending: 'none' | 'absent' | 'done' | 'half';
}

/** Compares all that is below the folders of one writer with what it knows. */
export function judge(truth: Truth, found: Found): Verdict {
  const { pending } = truth;
  const candidates = [
    { changes: {}, half: false, name: pending === undefined ? 'none' : 'absent' } as const,
    ...(pending?.outcomes ?? []).map(({ changes, half = false }) => ({
      ...({ changes, half, name: half ? 'half' : 'done' } as const),
    })),
  ];
  let best: Verdict | undefined;
  for (const { changes, name } of candidates) {
    const wrong = differences({ ...truth.present, ...changes }, truth.gone, found);
    if (best === undefined || wrong.length < best.wrong.length) best = { wrong, pending: name };
  }
  if (best === undefined || best.wrong.length === 0 || pending === undefined) {
    return best ?? { wrong: [], pending: 'none' };
  }
  return { ...best, wrong: [...best.wrong, `(under way: ${pending.what})`] };
}

/** The same for what must be in the bucket at once, before any recovery: nothing may be missing. */
export function judgeAtOnce(truth: Truth, found: Found, syncedOnly: boolean): readonly string[] {
  const uncertain = new Set(
    (truth.pending?.outcomes ?? []).flatMap(({ changes }) => Object.keys(changes)),
  );
  return Object.entries(truth.present).flatMap(([path, expected]) => {
    if (uncertain.has(path) || expected.kind === 'directory') return [];
    if (syncedOnly && !expected.synced) return [];
    return difference(path, expected, found.get(path) ?? null);
  });
}

function differences(
  expected: Readonly<Record<string, Present>>,
  gone: readonly string[],
  found: Found,
): readonly string[] {
  const wrong = Object.entries(expected).flatMap(([path, present]) =>
    difference(path, present, found.get(path) ?? null),
  );
  const known = new Set(Object.keys(expected));
  for (const [path, present] of found) {
    if (known.has(path)) continue;
    const was = gone.includes(path) ? 'came back' : 'was never acknowledged';
    wrong.push(`${path} is there (${describe(present)}) and ${was}`);
  }
  return wrong;
}

function difference(path: string, expected: Present, found: Present): readonly string[] {
  if (expected === null && found === null) return [];
  if (expected?.kind === 'directory' && found?.kind === 'directory') return [];
  if (expected?.kind === 'file' && found?.kind === 'file' && expected.hash === found.hash)
    return [];
  return [`${path} should be ${describe(expected)} and is ${describe(found)}`];
}

function describe(present: Present): string {
  if (present === null) return 'nothing';
  if (present.kind === 'directory') return 'a directory';
  return `${present.bytes} bytes ${present.hash}`;
}
