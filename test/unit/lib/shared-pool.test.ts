import { setImmediate as nextTick } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Share, SharedPool } from '../../../src/lib/shared-pool.ts';

const never = new AbortController().signal;

/** Counts what is open, and when it may be made and given back. */
class Workshop {
  open = 0;
  most = 0;
  made = 0;
  failing = false;
  /** Aborts that reached a making. */
  aborted = 0;
  making: Promise<void> = Promise.resolve();
  closing: Promise<void> = Promise.resolve();

  readonly make = async (signal: AbortSignal): Promise<AsyncDisposable> => {
    this.made += 1;
    signal.addEventListener('abort', () => (this.aborted += 1));
    await this.making;
    if (this.failing) throw new Error('no');
    this.open += 1;
    this.most = Math.max(this.most, this.open);
    return {
      [Symbol.asyncDispose]: async () => {
        await this.closing;
        this.open -= 1;
      },
    };
  };
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('SharedPool', () => {
  it('makes one for all who ask, and gives it back after the last', async () => {
    const [pool, shop] = [new SharedPool(), new Workshop()];
    const shares = await Promise.all([1, 2, 3].map(() => pool.share('a', shop.make, never)));
    expect([shop.made, new Set(shares.map(({ value }) => value)).size, pool.size]).toEqual([
      1, 1, 1,
    ]);
    const [first, ...rest] = shares;
    await first?.[Symbol.asyncDispose]();
    await first?.[Symbol.asyncDispose]();
    expect(shop.open).toBe(1);
    for (const share of rest) await share[Symbol.asyncDispose]();
    expect([shop.open, pool.size]).toEqual([0, 0]);
  });

  it('tells everybody who waits that it cannot be made, and tries anew for the next', async () => {
    const [pool, shop] = [new SharedPool(), new Workshop()];
    shop.failing = true;
    const asked = [1, 2].map(async () => await pool.share('a', shop.make, never));
    const told = await Promise.allSettled(asked);
    expect(told.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect([shop.made, pool.size]).toEqual([1, 0]);
    shop.failing = false;
    await (await pool.share('a', shop.make, never))[Symbol.asyncDispose]();
    expect([shop.made, shop.open]).toEqual([2, 0]);
  });

  it('goes on making it for the others when one goes away, and stops when all have', async () => {
    const [pool, shop, { opened, open }] = [new SharedPool(), new Workshop(), gate()];
    shop.making = opened;
    const [one, two] = [new AbortController(), new AbortController()];
    const asked = [one, two].map(async ({ signal }) => await pool.share('a', shop.make, signal));
    const told = Promise.allSettled(asked);
    one.abort();
    await nextTick();
    expect(shop.aborted).toBe(0);
    two.abort();
    await nextTick();
    expect([shop.aborted, pool.size]).toEqual([1, 0]);
    open();
    await told;
    await nextTick();
    expect(shop.open).toBe(0);
  });

  it('makes no second one while the first is being given back: a port would be taken', async () => {
    const [pool, shop, { opened, open }] = [new SharedPool(), new Workshop(), gate()];
    const first = await pool.share('a', shop.make, never);
    shop.closing = opened;
    const leaving = first[Symbol.asyncDispose]();
    const again = pool.share('a', shop.make, never);
    const other = await pool.share('b', shop.make, never);
    await nextTick();
    expect(shop.made).toBe(2);
    open();
    await leaving;
    await (await again)[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    expect([shop.made, shop.open, pool.size]).toEqual([3, 0, 0]);
  });

  it('holds exactly what is in use, whatever comes and goes', async () => {
    const steps = fc.array(
      fc.record({
        key: fc.constantFrom('a', 'b'),
        does: fc.constantFrom('share', 'share', 'leave', 'abort', 'turn'),
      }),
      { size: 'max', maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const pool = new SharedPool();
        const shops = { a: new Workshop(), b: new Workshop() };
        const held: Share<AsyncDisposable>[] = [];
        const waits: Promise<unknown>[] = [];
        for (const { key, does } of history) {
          if (does === 'turn') await nextTick();
          if (does === 'leave') waits.push(Promise.resolve(held.shift()?.[Symbol.asyncDispose]()));
          if (does !== 'share' && does !== 'abort') continue;
          const abort = new AbortController();
          const shared = pool.share(key, shops[key as 'a'].make, abort.signal);
          waits.push(shared.then((share) => held.push(share)).catch(() => undefined));
          if (does === 'abort') abort.abort(new Error('gone'));
        }
        await Promise.all(waits);
        for (const share of held) await share[Symbol.asyncDispose]();
        await nextTick();
        const most = Math.max(shops.a.most, shops.b.most);
        expect([pool.size, shops.a.open, shops.b.open, most <= 1]).toEqual([0, 0, 0, true]);
      }),
    );
  });
});
