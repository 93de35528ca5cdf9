import { describe, expect, it } from 'vitest';
import { type CheckName, type Finding, findingsOf } from '../../../../src/daemon/doctor/finding.ts';
import { type Check, runChecks } from '../../../../src/daemon/doctor/run-checks.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';

function check(name: CheckName, run: Check['run'], limitMs = 1000): Check {
  return { name, limitMs, lateFix: `hurry ${name}`, run };
}

function fine(name: CheckName): readonly Finding[] {
  return [findingsOf(name).ok(name)];
}

/** Never ends by itself. */
async function hang(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

describe('checks side by side', () => {
  it('are told in their order, whichever ends first', async () => {
    const told: string[] = [];
    let release = (): void => undefined;
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    const running = runChecks(
      [
        check('fuse', async () => {
          await slow;
          return fine('fuse');
        }),
        check('disk', async () => await Promise.resolve(fine('disk'))),
        check('clock', async () => await Promise.resolve([])),
      ],
      (findings) => told.push(findings.map(({ seen }) => seen).join()),
      new FakeClock(),
      new AbortController().signal,
    );
    await new Promise(setImmediate);
    expect(told).toEqual([]);
    release();
    expect((await running).map(({ check: name }) => name)).toEqual(['fuse', 'disk']);
    expect(told).toEqual(['fuse', 'disk', '']);
  });

  it('that fail, throw or hang keep none of the others from being told', async () => {
    const clock = new FakeClock();
    const refusal = new WireError('no-fuse', { tried: 'open', answered: 'EPERM', next: 'ask' });
    const running = runChecks(
      [
        check('fuse', async () => await Promise.reject(refusal)),
        check('disk', async () => await Promise.reject(new TypeError('x is undefined'))),
        check('logins', hang, 2000),
        // Heeds no signal at all, as a disk that is gone does.
        check('mounts', async () => await new Promise<never>(() => undefined), 3000),
        check('clock', async () => await Promise.resolve(fine('clock'))),
      ],
      () => undefined,
      clock,
      new AbortController().signal,
    );
    await clock.advance(3000);
    // What does not end is waited for a while, and then left.
    await clock.advance(15_000);
    expect(await running).toEqual([
      { check: 'fuse', level: 'failure', kind: 'no-fuse', seen: 'cannot open: EPERM', fix: 'ask' },
      expect.objectContaining({
        check: 'disk',
        kind: 'internal',
        seen: expect.stringContaining('x is undefined') as string,
      }),
      {
        check: 'logins',
        level: 'failure',
        kind: 'unreachable',
        seen: 'no result within 2 s',
        fix: 'hurry logins',
      },
      {
        check: 'mounts',
        level: 'failure',
        kind: 'unreachable',
        seen: 'no result within 3 s',
        fix: 'hurry mounts',
      },
      { check: 'clock', level: 'ok', seen: 'clock' },
    ]);
    expect(clock.sleeping).toBe(0);
  });

  it('end at an abort, once what they began is tidied up', async () => {
    const clock = new FakeClock();
    const abort = new AbortController();
    let tidied = false;
    const tidy: Check['run'] = async (signal) => {
      try {
        return await hang(signal);
      } finally {
        await new Promise(setImmediate);
        tidied = true;
      }
    };
    const running = runChecks([check('bucket', tidy)], () => undefined, clock, abort.signal);
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(tidied).toBe(true);
    expect(clock.sleeping).toBe(0);
  });
});
