/**
 * What one program knows of its files while calls fail. After a call that was acknowledged a path
 * is exactly one thing; after one that failed it is one of a few, and never anything else.
 */
import type { Directory, Present, Version } from '../crash/truth.ts';

/** What may be at a path; `anything`: a change in place that a crash has cut short. */
export type Possible = readonly Present[] | 'anything';

/** A rename that failed: what was moved is at one of the two at least. */
export interface OneOf {
  readonly paths: readonly [from: string, to: string];
  readonly hash: string;
}

/** As it goes from one process to another. */
export interface Told {
  readonly possible: Readonly<Record<string, Possible>>;
  readonly oneOf: readonly OneOf[];
}

export class Beliefs {
  readonly #possible = new Map<string, Possible>();
  readonly #oneOf: OneOf[] = [];

  get told(): Told {
    return { possible: Object.fromEntries(this.#possible), oneOf: this.#oneOf };
  }

  /** Paths that are surely a file. */
  get files(): string[] {
    return this.#sure('file');
  }

  get directories(): string[] {
    return this.#sure('directory');
  }

  /** Paths of which one of several things is true. */
  get doubtful(): string[] {
    return [...this.#possible].flatMap(([path, all]) => (all.length === 1 ? [] : [path]));
  }

  at(path: string): Possible {
    return this.#possible.get(path) ?? [null];
  }

  /** Acknowledged: it is so. */
  know(path: string, present: Present): void {
    this.#possible.set(path, [present]);
  }

  /** It is as before, or one of these. */
  doubt(path: string, others: readonly Present[] | 'anything'): void {
    const before = this.at(path);
    const isLost = before === 'anything' || others === 'anything';
    this.#possible.set(path, isLost ? 'anything' : distinct([...before, ...others]));
  }

  doubtMove(from: string, to: string): void {
    const moved = this.at(from);
    if (moved === 'anything') return;
    this.doubt(to, moved);
    this.doubt(from, [null]);
    for (const present of moved) {
      if (present?.kind === 'file') this.#oneOf.push({ paths: [from, to], hash: present.hash });
    }
  }

  below(path: string): string[] {
    return [...this.#possible.keys()].filter((each) => each.startsWith(`${path}/`));
  }

  /** Whether nothing is in doubt at `path` and below. */
  isSure(path: string): boolean {
    return [path, ...this.below(path)].every((each) => this.at(each).length === 1);
  }

  #sure(kind: (Version | Directory)['kind']): string[] {
    return [...this.#possible].flatMap(([path, all]) =>
      all !== 'anything' && all.length === 1 && all[0]?.kind === kind ? [path] : [],
    );
  }
}

/** Why what was found cannot be; empty when it can. */
export function wrongIn(
  { possible, oneOf }: Told,
  found: ReadonlyMap<string, Version | Directory>,
): readonly string[] {
  const wrong = Object.entries(possible).flatMap(([path, all]) => {
    const present = found.get(path) ?? null;
    return canBe(all, present) ? [] : [`${path} is ${inWords(present)}, not ${wordsOf(all)}`];
  });
  for (const [path, present] of found) {
    if (possible[path] === undefined) wrong.push(`${path} is ${inWords(present)}: nobody's`);
  }
  for (const { paths, hash } of oneOf) {
    const isThere = paths.some((path) => {
      const present = found.get(path);
      return present?.kind === 'file' && present.hash === hash;
    });
    if (!isThere) wrong.push(`${hash} is neither at ${paths[0]} nor at ${paths[1]}`);
  }
  return wrong;
}

export function canBe(all: Possible, present: Present): boolean {
  return all === 'anything' || all.some((each) => isSame(each, present));
}

function isSame(a: Present, b: Present): boolean {
  if (a === null || b === null) return a === b;
  if (a.kind === 'file' && b.kind === 'file') return a.hash === b.hash;
  return a.kind === b.kind;
}

function distinct(all: readonly Present[]): readonly Present[] {
  return all.filter((each, nth) => all.findIndex((other) => isSame(each, other)) === nth);
}

const wordsOf = (all: Possible): string =>
  all === 'anything' ? all : all.map(inWords).join(' or ');

export function inWords(present: Present): string {
  if (present === null) return 'nothing';
  if (present.kind === 'directory') return 'a directory';
  return `${present.bytes} bytes ${present.hash}`;
}
