/** How far long work is, at a glance: `[########------------]`. Pure; for a terminal alone. */

const CELLS = 20;

/** @param done of `total`, in whatever unit; all of nothing is done. */
export function progressBar(done: number, total: number): string {
  const share = total <= 0 ? 1 : Math.min(Math.max(done / total, 0), 1);
  // Full only when it is done.
  const full = Math.floor(share * CELLS);
  return `[${'#'.repeat(full)}${'-'.repeat(CELLS - full)}]`;
}

/** A bar for work of which is known only what is left: its whole is the most that ever was. */
export class Remaining {
  #most = 0;

  bar(left: number): string {
    this.#most = Math.max(this.#most, left);
    return progressBar(this.#most - left, this.#most);
  }
}
