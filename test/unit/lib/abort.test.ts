import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { isAbort, LinkedAbort, raceAbort } from '../../../src/lib/abort.ts';

const forever = new Promise<never>(() => undefined);

describe('raceAbort', () => {
  it('settles as the promise does', async () => {
    const { signal } = new AbortController();
    await expect(raceAbort(Promise.resolve(7), signal)).resolves.toBe(7);
    await expect(raceAbort(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  });

  it('rejects with the reason as soon as the signal aborts', async () => {
    const controller = new AbortController();
    const race = raceAbort(forever, controller.signal);
    controller.abort(new Error('enough'));
    await expect(race).rejects.toThrow('enough');
  });

  it('leaves no listener on the signal, however it ends', async () => {
    const controller = new AbortController();
    await raceAbort(Promise.resolve(1), controller.signal);
    await raceAbort(Promise.reject(new Error('no')), controller.signal).catch(() => undefined);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });
});

describe('many waits on one signal', () => {
  it('are no leak that Node warns of', async () => {
    const warnings: unknown[] = [];
    const note = (warning: unknown): void => void warnings.push(warning);
    process.on('warning', note);
    const controller = new AbortController();
    const races = Array.from(
      { length: 30 },
      async () => await raceAbort(forever, controller.signal),
    );
    const links = Array.from({ length: 30 }, () => new LinkedAbort(controller.signal));
    controller.abort(new Error('enough'));
    await Promise.allSettled(races);
    for (const link of links) link[Symbol.dispose]();
    await new Promise(setImmediate);
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe('LinkedAbort', () => {
  it('follows its parent, with its reason', () => {
    const parent = new AbortController();
    using link = new LinkedAbort(parent.signal);
    parent.abort('gone');
    expect(link.signal.aborted).toBe(true);
    expect(link.signal.reason).toBe('gone');
  });

  it('is aborted from the start under an aborted parent', () => {
    using link = new LinkedAbort(AbortSignal.abort('gone'));
    expect(link.signal.reason).toBe('gone');
  });

  it('aborts alone, and lets its parent go when disposed', () => {
    const parent = new AbortController();
    {
      using link = new LinkedAbort(parent.signal);
      link.abort('mine');
      expect(link.signal.aborted).toBe(true);
      expect(parent.signal.aborted).toBe(false);
    }
    expect(getEventListeners(parent.signal, 'abort')).toEqual([]);
  });
});

describe('isAbort', () => {
  it('tells aborts and time limits from failures', () => {
    expect(isAbort(AbortSignal.abort().reason)).toBe(true);
    expect(isAbort(new DOMException('late', 'TimeoutError'))).toBe(true);
    expect(isAbort(new Error('AbortError'))).toBe(false);
    expect(isAbort('AbortError')).toBe(false);
  });
});
