import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/lib/clock.ts';

const never = new AbortController().signal;

describe('systemClock', () => {
  it('sleeps, and its monotonic time goes on', async () => {
    const before = systemClock.monotonic();
    await systemClock.sleep(5, never);
    expect(systemClock.monotonic()).toBeGreaterThan(before);
  });

  it('rejects with the reason of the abort, also of an earlier one', async () => {
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, controller.signal);
    controller.abort(new Error('wake'));
    await expect(sleep).rejects.toThrow('wake');
    await expect(systemClock.sleep(1, controller.signal)).rejects.toThrow('wake');
  });

  it('sleeps on when asked for longer than a timer can take', async () => {
    const controller = new AbortController();
    let woke = false;
    const sleep = systemClock.sleep(2 ** 40, controller.signal).finally(() => (woke = true));
    await systemClock.sleep(20, never);
    expect(woke).toBe(false);
    controller.abort();
    await expect(sleep).rejects.toThrow();
  });
});
