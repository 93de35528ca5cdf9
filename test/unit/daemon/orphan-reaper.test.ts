import { expect, it } from 'vitest';
import { OrphanReaper } from '../../../src/daemon/orphan-reaper.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

function reaperOf(pid: number, looks: readonly (readonly number[])[]) {
  const clock = new FakeClock();
  const reaped: number[] = [];
  let look = 0;
  const reaper = new OrphanReaper({
    ...{ pid, clock, log: silentLog },
    zombies: async () => await Promise.resolve(looks[look++] ?? []),
    reap: (each) => void reaped.push(each),
  });
  return { clock, reaped, reaper };
}

it('process 1 takes note of orphans that are still there at the second look, and of nobody else', async () => {
  // 5 is Node's own: it is gone before it is looked at again.
  const { clock, reaped, reaper } = reaperOf(1, [[5], [7, 8], [7, 8, 9], [9], []]);
  await clock.advance(4_000);
  expect(reaped).toEqual([]);
  await clock.advance(2_000);
  expect(reaped).toEqual([7, 8]);
  await clock.advance(20_000);
  expect(reaped).toEqual([7, 8, 9]);
  await reaper[Symbol.asyncDispose]();
  expect(clock.sleeping).toBe(0);
});

it('any other process looks for none', async () => {
  const { clock, reaper } = reaperOf(2, [[7], [7], [7]]);
  expect(clock.sleeping).toBe(0);
  await reaper[Symbol.asyncDispose]();
});
