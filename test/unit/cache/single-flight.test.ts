import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SingleFlight } from '../../../src/cache/single-flight.ts';

const forever = new AbortController().signal;

/** Work that ends only when the test says so, even after its signal aborted. */
class Work {
  readonly #ends: ((error?: Error) => void)[] = [];
  readonly signals: AbortSignal[] = [];

  readonly start = async (signal: AbortSignal): Promise<string> => {
    const nth = this.signals.push(signal);
    return await new Promise((resolve, reject) => {
      this.#ends.push((error) => (error === undefined ? resolve(`result ${nth}`) : reject(error)));
    });
  };

  end(at: number, error?: Error): void {
    this.#ends[at]?.(error);
  }
}

interface ModelFlight {
  readonly key: string;
  readonly callers: Set<number>;
  state: 'open' | 'abandoned' | 'ended';
}

type Step =
  | { readonly do: 'join'; readonly key: string }
  | { readonly do: 'leave'; readonly nth: number }
  | { readonly do: 'end'; readonly nth: number; readonly fails: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('join' as const), key: fc.constantFrom('a', 'b') }),
  fc.record({ do: fc.constant('leave' as const), nth: fc.nat(99) }),
  fc.record({ do: fc.constant('end' as const), nth: fc.nat(99), fails: fc.boolean() }),
);

/** Plays `steps` on a SingleFlight beside its plain description, and compares after each. */
async function play(steps: readonly Step[]): Promise<void> {
  const work = new Work();
  const flights = new SingleFlight<string, string>();
  const controllers: AbortController[] = [];
  const outcomes: string[] = [];
  const model: ModelFlight[] = [];
  const expected: string[] = [];

  const settle = (flight: ModelFlight, outcome: string): void => {
    for (const caller of flight.callers) expected[caller] = outcome;
    flight.callers.clear();
  };
  const join = (key: string): void => {
    const caller = controllers.push(new AbortController()) - 1;
    outcomes[caller] = 'waits';
    expected[caller] = 'waits';
    flights.join(key, work.start, controllers[caller]?.signal ?? forever).then(
      (value) => (outcomes[caller] = value),
      (error: unknown) => (outcomes[caller] = (error as Error).message),
    );
    let flight = model.find((one) => one.key === key && one.state === 'open');
    if (flight === undefined) {
      flight = { key, callers: new Set(), state: 'open' };
      model.push(flight);
    }
    flight.callers.add(caller);
  };
  const leave = (nth: number): void => {
    const waiting = model.flatMap((flight) =>
      [...flight.callers].map((caller) => ({ flight, caller })),
    );
    const left = waiting[nth % Math.max(waiting.length, 1)];
    if (left === undefined) return;
    controllers[left.caller]?.abort(new Error('left'));
    expected[left.caller] = 'left';
    left.flight.callers.delete(left.caller);
    if (left.flight.callers.size === 0) left.flight.state = 'abandoned';
  };
  const end = (nth: number, fails: boolean): void => {
    const running = [...model.keys()].filter((at) => model[at]?.state !== 'ended');
    const at = running[nth % Math.max(running.length, 1)];
    const flight = at === undefined ? undefined : model[at];
    if (at === undefined || flight === undefined) return;
    work.end(at, fails ? new Error('broke') : undefined);
    flight.state = 'ended';
    settle(flight, fails ? 'broke' : `result ${at + 1}`);
  };

  for (const one of steps) {
    if (one.do === 'join') join(one.key);
    else if (one.do === 'leave') leave(one.nth);
    else end(one.nth, one.fails);
    await turn();
    expect(outcomes).toEqual(expected);
    expect(flights.running).toBe(model.filter(({ state }) => state !== 'ended').length);
    for (const [at, flight] of model.entries()) {
      if (flight.state !== 'ended') {
        expect(work.signals[at]?.aborted).toBe(flight.state === 'abandoned');
      }
    }
    for (const key of ['a', 'b']) {
      expect(flights.has(key)).toBe(model.some((f) => f.key === key && f.state === 'open'));
    }
  }
}

describe('SingleFlight', () => {
  it('shares, abandons and ends work as described, in any order of events', async () => {
    const histories = fc.array(step, { maxLength: 40, size: 'max' });
    await fc.assert(fc.asyncProperty(histories, play), { numRuns: 300 });
  });

  it('when disposed, aborts its work, waits for it to settle, and takes no more', async () => {
    const work = new Work();
    const flights = new SingleFlight<string, string>();
    const caller = flights.join('a', work.start, forever).catch((error: unknown) => error);
    let disposed = false;
    const disposal = flights[Symbol.asyncDispose]().then(() => (disposed = true));

    await turn();
    expect(work.signals[0]?.aborted).toBe(true);
    expect(disposed).toBe(false);
    work.end(0, new Error('aborted'));
    await disposal;
    expect(await caller).toEqual(new Error('aborted'));
    await expect(flights.join('b', work.start, forever)).rejects.toThrow('closed');
  });

  it('starts nothing for a caller that has left already', async () => {
    const work = new Work();
    const flights = new SingleFlight<string, string>();
    const left = AbortSignal.abort(new Error('left'));
    await expect(flights.join('a', work.start, left)).rejects.toThrow('left');
    expect(work.signals).toEqual([]);
  });

  it('lets one caller wait for many without a warning', async () => {
    const warnings: Error[] = [];
    const keep = (warning: Error): void => void warnings.push(warning);
    process.on('warning', keep);
    const work = new Work();
    const flights = new SingleFlight<number, string>();
    const { signal } = new AbortController();
    const joins = Array.from({ length: 30 }, async (_, key) => {
      await flights.join(key, work.start, signal);
    });
    for (const key of joins.keys()) work.end(key);
    await Promise.all(joins);
    await turn();
    process.off('warning', keep);
    expect(warnings).toEqual([]);
  });

  it('leaves no listener on a long-lived signal', async () => {
    const flights = new SingleFlight<string, string>();
    const { signal } = new AbortController();
    await flights.join('a', async () => await Promise.resolve('a'), signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
