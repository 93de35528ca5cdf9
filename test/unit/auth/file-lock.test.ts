import { spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ownProcess, stillRuns, withFileLock } from '../../../src/auth/file-lock.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

const signal = new AbortController().signal;
// Many callers wait on it at once here.
setMaxListeners(0, signal);
let folder: string;
let lock: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'wire-lock-'));
  lock = path.join(folder, 'x.lock');
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** A process id that was in use a moment ago. */
async function goneProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('a lock file', () => {
  it('lets one in at a time and is gone afterwards', async () => {
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    const callers = Array.from(
      { length: 10 },
      async () => await withFileLock(lock, systemClock, work, signal),
    );
    await Promise.all(callers);
    expect(most).toBe(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it('is given back when the work fails', async () => {
    const failing = withFileLock(
      lock,
      systemClock,
      async () => await Promise.reject(new Error('no')),
      signal,
    );
    await expect(failing).rejects.toThrow('no');
    expect(await readdir(folder)).toEqual([]);
  });

  it('can be waited for no longer than the caller wants', async () => {
    const hold = withFileLock(
      lock,
      systemClock,
      async () => {
        const waiter = withFileLock(
          lock,
          systemClock,
          async () => await Promise.resolve(),
          AbortSignal.timeout(80),
        );
        await expect(waiter).rejects.toThrow();
      },
      signal,
    );
    await hold;
  });

  it('of a holder elsewhere that stands still is broken after 15 s, not before', async () => {
    const holder = { pid: 1, started: '1', place: 'another host', nonce: 'n' };
    await writeFile(lock, JSON.stringify(holder), { mode: 0o600 });
    const clock = new FakeClock();
    let entered = false;
    const done = withFileLock(
      lock,
      clock,
      () => {
        entered = true;
        return Promise.resolve();
      },
      signal,
    );
    await clock.advance(14_900);
    expect(entered).toBe(false);
    await clock.advance(300);
    await done;
    expect(entered).toBe(true);
  });

  it.each([
    ['a process that is gone', async () => await goneProcess(), ''],
    ['a process whose number somebody else has now', () => Promise.resolve(process.pid), '1'],
  ])('of %s is broken at once', async (_, pidOf, started) => {
    const own = await withFileLock(
      lock,
      systemClock,
      async () => await readFile(lock, 'utf8'),
      signal,
    );
    const holder = { ...(JSON.parse(own) as object), pid: await pidOf(), nonce: 'old' };
    const past = started === '' ? holder : { ...holder, started };
    await writeFile(lock, JSON.stringify(past), { mode: 0o600 });
    const limit = AbortSignal.timeout(2000);
    await withFileLock(lock, systemClock, async () => await Promise.resolve(), limit);
    expect(await readdir(folder)).toEqual([]);
  });

  it('of a living process is not broken, however long it takes', async () => {
    const clock = new FakeClock();
    const order: string[] = [];
    let finish = (): void => undefined;
    const first = withFileLock(
      lock,
      systemClock,
      async () => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        order.push('first');
      },
      signal,
    );
    const second = withFileLock(lock, clock, async () => await Promise.resolve(), signal);
    const refused = expect(second).rejects.toMatchObject({ kind: 'unavailable' });
    await clock.advance(61_000);
    await refused;
    finish();
    await first;
    expect(order).toEqual(['first']);
  });

  it('of work that goes on without its caller is held until the end of the work', async () => {
    const clock = new FakeClock();
    const caller = new AbortController();
    let finish = (): void => undefined;
    const working = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const held = withFileLock(lock, clock, async () => await working, caller.signal);
    const beats = async (): Promise<number> => (await stat(lock)).mtimeMs;
    await clock.advance(2000);
    const before = await beats();
    caller.abort(new Error('gone'));
    await clock.advance(20_000);
    // Who watches it from another machine sees a heart that beats.
    expect(await beats()).toBeGreaterThan(before + 15_000);
    finish();
    await held;
    expect(await readdir(folder)).toEqual([]);
  });

  it('that somebody took away ends the work', async () => {
    const clock = new FakeClock();
    const work = withFileLock(
      lock,
      clock,
      async (held) => {
        await rm(lock);
        await writeFile(lock, JSON.stringify({ pid: 1, started: '', place: '', nonce: 'other' }));
        const beat = clock.advance(2000);
        await new Promise<void>((resolve) => held.addEventListener('abort', () => resolve()));
        await beat;
        held.throwIfAborted();
      },
      signal,
    );
    await expect(work).rejects.toMatchObject({ kind: 'unavailable' });
    // What is not ours is left alone.
    expect(await readdir(folder)).toEqual(['x.lock']);
  });
});

describe('the name of a process', () => {
  it('tells whether it still runs', () => {
    expect(stillRuns(ownProcess())).toBe(true);
  });

  it('is not that of an earlier process with the same number', () => {
    const [pid = '', started = '', ...place] = ownProcess().split(' ');
    expect(stillRuns([pid, `${Number(started) - 1}`, ...place].join(' '))).toBe(false);
  });

  it('tells of one that has ended', async () => {
    const [, started = '', ...place] = ownProcess().split(' ');
    const name = [`${await goneProcess()}`, started, ...place].join(' ');
    expect(stillRuns(name)).toBe(false);
  });

  it('says nothing of another machine, another start of this one, another container', () => {
    expect(stillRuns(`${ownProcess()}x`)).toBeUndefined();
  });
});
