import { describe, expect, it } from 'vitest';
import { NoSignOfLife, whileAlive } from '../../../src/daemon/sign-of-life.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { later } from '../../fixtures/later.ts';

const never = new AbortController().signal;

/** Ends only by an abort: what it had begun is undone by then. */
async function untilAborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('undone')), { once: true });
  });
}

describe('who waits for another process', () => {
  it('gives up one that answers no look, and says which', async () => {
    const clock = new InstantClock();
    const isAlive = async (): Promise<boolean> => await Promise.resolve(false);
    const facts = { name: 'the daemon (process 7)', isAlive, clock };
    const waiting = whileAlive(untilAborted, facts, never);
    await expect(waiting).rejects.toBeInstanceOf(NoSignOfLife);
    await expect(waiting).rejects.toThrow('the daemon (process 7)');
    expect(clock.slept).toEqual([2_000, 2_000, 2_000, 2_000]);
  });

  it('waits as long as it takes for one that answers now and then', async () => {
    const clock = new InstantClock();
    const work = later<string>();
    let looks = 0;
    const isAlive = async (): Promise<boolean> => {
      looks += 1;
      if (looks === 1_000) work.resolve('mounted');
      await new Promise((resolve) => setImmediate(resolve));
      return looks % 4 === 0;
    };
    const facts = { name: 'the daemon', isAlive, clock };
    expect(await whileAlive(async () => await work.promise, facts, never)).toBe('mounted');
  });

  it('hears what the process refused, and looks no more', async () => {
    const clock = new InstantClock();
    const isAlive = async (until: AbortSignal): Promise<boolean> => await untilAborted(until);
    const refused = new Error('it is busy');
    const work = async (): Promise<never> => await Promise.reject(refused);
    const waiting = whileAlive(work, { name: 'the daemon', isAlive, clock }, never);
    await expect(waiting).rejects.toBe(refused);
    expect(clock.slept).toEqual([2_000]);
  });
});
