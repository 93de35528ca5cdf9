/**
 * Notices that a program walks through a tree (find, ls -R, du, rsync): it reads one directory of
 * a parent after the other, in the order of their names. Pure: what was seen so far is passed in.
 *
 * Reading two siblings is little evidence, but being wrong costs little too: one or two pages of
 * an undelimited listing. A parent that disappointed must show more before it is believed again.
 */

/** A directory whose names are about to be asked for. */
export interface Opening {
  /** The directory above, which names the bucket too. */
  readonly parent: string;
  readonly name: string;
  /** Monotonic. */
  readonly atMs: number;
}

/** What was opened in one parent. */
interface Steps {
  readonly parent: string;
  readonly last: string;
  readonly atMs: number;
  /** Directories opened in order of their names. */
  readonly count: number;
  /** So many make a walk. */
  readonly needed: number;
}

/** The parents seen last, the latest first. */
export type WalkState = readonly Steps[];

export const noWalks: WalkState = [];

/** Slower than this, each directory may as well be asked for by itself. */
const LONGEST_STEP_MS = 5000;
/** Parents remembered: those a walk is in, one above the other, and some for other programs. */
const MOST_PARENTS = 16;
const FIRST_NEED = 2;
const MOST_NEED = 64;

/** Counts an opening; `isWalk` when it is time to list all that lies below the parent. */
export function noticeOpening(
  state: WalkState,
  { parent, name, atMs }: Opening,
): { readonly state: WalkState; readonly isWalk: boolean } {
  const before = state.find((steps) => steps.parent === parent);
  const others = state.filter((steps) => steps !== before);
  const recent = before !== undefined && atMs - before.atMs <= LONGEST_STEP_MS ? before : undefined;
  const needed = recent?.needed ?? FIRST_NEED;
  const count = countAfter(recent, name);
  const steps = { parent, last: name, atMs, count, needed };
  return { state: [steps, ...others].slice(0, MOST_PARENTS), isWalk: count >= needed };
}

/** The listing below `parent` was of no use: the next one needs more evidence. */
export function disappointed(state: WalkState, parent: string): WalkState {
  return state.map((steps) =>
    steps.parent === parent
      ? { ...steps, count: 1, needed: Math.min(steps.needed * 2, MOST_NEED) }
      : steps,
  );
}

function countAfter(before: Steps | undefined, name: string): number {
  if (before === undefined || name < before.last) return 1;
  return name === before.last ? before.count : before.count + 1;
}
