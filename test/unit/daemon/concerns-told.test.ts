import { setImmediate as nextTick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { MountParts } from '../../../src/daemon/mount-parts.ts';
import { FakeMachine, FakeSignals, processOf } from './fake-mounts.ts';

it('tells who mounts once what a stricter server would have refused the token for', async () => {
  const machine = new FakeMachine();
  const signals = new FakeSignals();
  const concern = 'the access token is for no audience; pass --audience';
  const parts = {
    ...machine.parts,
    connect: async (...args: Parameters<MountParts['connect']>) =>
      Object.assign(await machine.parts.connect(...args), { concerns: [concern] }),
  };
  const warnings: string[] = [];
  const order: string[] = [];
  const process = processOf(parts, {
    ready: () => void order.push('ready'),
    trouble: () => undefined,
    warn: (line) => void warnings.push(line),
  });
  const end = process.run(['/m', '/n'], signals, new AbortController().signal);
  while (order.length === 0) await nextTick();
  await nextTick();
  signals.send('SIGTERM');
  await end;
  expect(warnings).toEqual([concern]);
});
