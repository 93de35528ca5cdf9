/** How fast something has gone of late, and how much of it there was in all. Allocates nothing. */

/** Seconds that are looked at: long enough for parts of some MiB to make a steady figure. */
const WINDOW_S = 10;

export class RateMeter {
  /** Sums of single seconds, by second modulo their number; the one at hand besides. */
  readonly #sums = new Float64Array(WINDOW_S + 1);
  #second = 0;
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** `nowMs`: monotonic. */
  add(amount: number, nowMs: number): void {
    this.#moveTo(nowMs);
    const at = this.#second % this.#sums.length;
    this.#sums[at] = (this.#sums[at] ?? 0) + amount;
    this.#total += amount;
  }

  /** For each second, over the last ten. */
  perSecond(nowMs: number): number {
    this.#moveTo(nowMs);
    // Whole seconds, and the part of the present one that has gone by.
    const spanMs = WINDOW_S * 1000 + (nowMs % 1000);
    return (this.#sums.reduce((sum, amount) => sum + amount, 0) * 1000) / spanMs;
  }

  #moveTo(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const passed = Math.min(second - this.#second, this.#sums.length);
    for (let step = 1; step <= passed; step += 1) {
      this.#sums[(this.#second + step) % this.#sums.length] = 0;
    }
    if (passed === this.#sums.length) this.#sums.fill(0);
    this.#second = second;
  }
}
