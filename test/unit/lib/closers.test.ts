import { describe, expect, it } from 'vitest';
import { Closers } from '../../../src/lib/closers.ts';

describe('Closers', () => {
  it('releases last first, and waits for each', async () => {
    const order: string[] = [];
    const closers = new Closers();
    closers.defer(() => void order.push('first'));
    closers.use({
      async [Symbol.asyncDispose]() {
        await Promise.resolve();
        order.push('second');
      },
    });
    await closers[Symbol.asyncDispose]();
    expect(order).toEqual(['second', 'first']);
  });

  it('runs every closer although one throws, and throws the first error', async () => {
    const order: string[] = [];
    const closers = new Closers();
    closers.defer(() => void order.push('a'));
    closers.defer(() => {
      throw new Error('b failed');
    });
    closers.defer(() => {
      throw new Error('c failed');
    });
    await expect(closers[Symbol.asyncDispose]()).rejects.toThrow('c failed');
    expect(order).toEqual(['a']);
  });

  it('closes nothing after its closers have moved', async () => {
    let closed = 0;
    const closers = new Closers();
    closers.defer(() => void (closed += 1));
    const moved = closers.move();
    await closers[Symbol.asyncDispose]();
    expect(closed).toBe(0);
    await moved[Symbol.asyncDispose]();
    await moved[Symbol.asyncDispose]();
    expect(closed).toBe(1);
  });
});
