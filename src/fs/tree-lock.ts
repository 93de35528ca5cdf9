import { raceAbort } from '../lib/abort.ts';
import { type DirectoryNode, isWithin } from './nodes.ts';

/** What a change asks of the tree while it runs. */
export interface TreeClaim {
  /** Directories whose keys must stay what they are. */
  readonly stay: readonly DirectoryNode[];
  /** Directories that it moves, with all below them; nobody else changes anything there. */
  readonly move?: readonly DirectoryNode[];
}

/** One piece of work with its claim; its end is a promise only where somebody waits for it. */
class Waiter {
  readonly stay: readonly DirectoryNode[];
  readonly move: readonly DirectoryNode[];
  running = false;
  #done: Promise<void> | undefined;
  #leave: (() => void) | undefined;

  constructor({ stay, move = [] }: TreeClaim) {
    this.stay = stay;
    this.move = move;
  }

  get done(): Promise<void> {
    this.#done ??= new Promise<void>((resolve) => {
      this.#leave = resolve;
    });
    return this.#done;
  }

  leave(): void {
    this.#leave?.();
  }
}

/**
 * Keeps changes of names and the moving of a directory above them apart; changes elsewhere go on.
 * Work that holds a claim must not ask for another one: it would wait behind one that waits for it.
 */
export class TreeLock {
  /** In order of arrival. */
  readonly #claims = new Set<Waiter>();

  /** @throws `signal.reason` if it aborts before the work's turn; whatever the work threw. */
  async run<T>(claim: TreeClaim, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const mine = new Waiter(claim);
    this.#claims.add(mine);
    try {
      // Asked again after each wait: a move that has ended may have put us below another.
      for (let ahead = this.#ahead(mine); ahead.length > 0; ahead = this.#ahead(mine)) {
        await raceAbort(Promise.all(ahead), signal);
      }
      mine.running = true;
      return await work();
    } finally {
      this.#claims.delete(mine);
      mine.leave();
    }
  }

  #ahead(mine: Waiter): readonly Promise<void>[] {
    const ahead: Promise<void>[] = [];
    let earlier = true;
    for (const other of this.#claims) {
      if (other === mine) earlier = false;
      else if ((earlier || other.running) && collide(mine, other)) ahead.push(other.done);
    }
    return ahead;
  }
}

function collide(a: Waiter, b: Waiter): boolean {
  return moves(a, b) || moves(b, a);
}

/** Whether `mover` moves anything that `other` stands on. */
function moves(mover: Waiter, other: Waiter): boolean {
  // Hardly any: nothing need be made to find that out.
  if (mover.move.length === 0) return false;
  return mover.move.some((top) => [...other.stay, ...other.move].some((at) => isWithin(at, top)));
}
