import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_RETRY_BUDGET_MS, RetryBudget } from '../../../src/s3/retry.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';

const forever = new AbortController().signal;
const failure = new Error('busy');

/** Pauses until the budget is spent. */
async function exhaust(budget: RetryBudget): Promise<void> {
  for (let tries = 0; tries < 10_000; tries += 1) {
    try {
      await budget.pause(failure, forever);
    } catch (error) {
      expect(error).toBe(failure);
      return;
    }
  }
  throw new Error('the budget never ends');
}

describe('RetryBudget', () => {
  it('pauses under a ceiling that doubles up to 5 s', async () => {
    const clock = new InstantClock();
    await exhaust(new RetryBudget({ clock, random: () => 0.999_999, budgetMs: 30_000 }));
    const ceilings = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000];
    expect(clock.slept.map(Math.round)).toEqual(ceilings.slice(0, clock.slept.length));
    expect(clock.slept.length).toBeGreaterThanOrEqual(9);
  });

  it('spreads its pauses over the whole of the ceiling', async () => {
    const clock = new InstantClock();
    const draws = [0, 0.5, 0.25];
    const budget = new RetryBudget({ clock, random: () => draws.shift() ?? 0, budgetMs: 30_000 });
    for (let tries = 0; tries < 3; tries += 1) await budget.pause(failure, forever);
    expect(clock.slept).toEqual([0, 100, 100]);
  });

  it('never waits beyond its budget after the third try, and then throws the failure', async () => {
    const draws = fc.array(fc.double({ min: 0.1, max: 0.999, noNaN: true }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(draws, fc.integer({ min: 1, max: 100_000 }), async (random, budgetMs) => {
        const clock = new InstantClock();
        const startedMs = clock.monotonic();
        let at = 0;
        const next = (): number => random[at++ % random.length] ?? 0.5;
        await exhaust(new RetryBudget({ clock, random: next, budgetMs }));
        // Before the third try at most 100 and 200 ms are waited, however small the budget.
        expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(Math.max(budgetMs, 300));
        expect(clock.slept.length).toBeGreaterThanOrEqual(2);
      }),
    );
  });

  it('allows at least three tries however long each took, and counts a long one for 5 s', async () => {
    const stalled = async (budgetMs: number): Promise<number> => {
      const clock = new InstantClock();
      const budget = new RetryBudget({ clock, random: () => 0, budgetMs });
      for (let tries = 1; ; tries += 1) {
        await clock.sleep(30_000, forever);
        const again = await budget.pause(failure, forever).then(
          () => true,
          () => false,
        );
        if (!again) return tries;
      }
    };
    expect(await stalled(30_000)).toBe(6);
    expect(await stalled(3_000)).toBe(3);
    expect(await stalled(0)).toBe(1);
  });

  it('counts the time of short tries as well as its pauses', async () => {
    const clock = new InstantClock();
    const budget = new RetryBudget({ clock, random: () => 0, budgetMs: 10_000 });
    let tries = 0;
    const tryOften = async (): Promise<void> => {
      for (;;) {
        tries += 1;
        await clock.sleep(1000, forever);
        await budget.pause(failure, forever);
      }
    };
    await expect(tryOften()).rejects.toBe(failure);
    expect(tries).toBe(10);
  });

  it('waits as long as the server asks, up to 10 s', async () => {
    const clock = new InstantClock();
    const budget = new RetryBudget({ clock, random: () => 0.5, budgetMs: 30_000 });
    await budget.pause(failure, forever, { retryAfterMs: 3000 });
    await budget.pause(failure, forever, { retryAfterMs: 3_600_000 });
    await budget.pause(failure, forever, { retryAfterMs: 1 });
    expect(clock.slept).toEqual([3000, 10_000, 200]);
  });

  it('gives up soon an address at which nothing ever answered, however long the try took', async () => {
    const clock = new InstantClock();
    const budget = new RetryBudget({ clock, random: () => 0.999, budgetMs: 90_000 });
    const tryOften = async (): Promise<void> => {
      for (;;) await budget.pause(failure, forever, { outlook: 'doubtful' });
    };
    await expect(tryOften()).rejects.toBe(failure);
    expect(clock.slept.map(Math.round)).toEqual([100, 200, 400, 799]);
    const slow = new RetryBudget({ clock, random: () => 0, budgetMs: 90_000 });
    await clock.sleep(3000, forever);
    await expect(slow.pause(failure, forever, { outlook: 'doubtful' })).rejects.toBe(failure);
  });

  it('gives a store that answers and cannot serve 30 s, also after it was away for longer', async () => {
    const clock = new InstantClock();
    const budget = new RetryBudget({ clock, random: () => 0.5, budgetMs: 90_000 });
    const until = async (outlook: 'away' | 'busy', ms: number): Promise<number> => {
      const startedMs = clock.monotonic();
      while (clock.monotonic() - startedMs < ms) {
        await budget.pause(failure, forever, { outlook });
      }
      return clock.monotonic() - startedMs;
    };
    expect(await until('away', 50_000)).toBeGreaterThanOrEqual(50_000);
    const startedMs = clock.monotonic();
    await expect(until('busy', 1e6)).rejects.toBe(failure);
    expect(clock.monotonic() - startedMs).toBeGreaterThan(25_000);
    expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(30_000);
  });

  it('outlasts a network that is away for a minute, whatever the pauses drawn', async () => {
    const draws = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1 });
    const tryMs = fc.integer({ min: 0, max: 30_000 });
    await fc.assert(
      fc.asyncProperty(draws, tryMs, async (random, ms) => {
        const clock = new InstantClock();
        const startedMs = clock.monotonic();
        let at = 0;
        const next = (): number => random[at++ % random.length] ?? 0.5;
        const budget = new RetryBudget({ clock, random: next, budgetMs: DEFAULT_RETRY_BUDGET_MS });
        // A try that begins when the network is back is answered.
        while (clock.monotonic() - startedMs < 60_000) {
          await clock.sleep(Math.max(ms, 1), forever);
          await budget.pause(failure, forever, { outlook: 'away' });
        }
      }),
    );
  });

  it('begins anew when the request got on', async () => {
    const clock = new InstantClock();
    const budget = new RetryBudget({ clock, random: () => 0.999, budgetMs: 1000 });
    await exhaust(budget);
    const pauses = clock.slept.length;
    budget.renew();
    await exhaust(budget);
    expect(clock.slept).toHaveLength(2 * pauses);
  });

  it('ends at once when aborted', async () => {
    const budget = new RetryBudget({ clock: new InstantClock(), random: () => 0, budgetMs: 1000 });
    const reason = new Error('EINTR');
    await expect(budget.pause(failure, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
