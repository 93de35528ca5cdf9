import { setImmediate as nextTick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { KeptMount } from '../../../src/daemon/kept-mount.ts';
import { FakeMachine, specOf } from './fake-mounts.ts';

const { signal } = new AbortController();

/** A mount whose pauses end at once; `breakOff` ends its session and leaves it to the kernel, dead. */
async function kept(stillThere: boolean) {
  const machine = new FakeMachine();
  const parts = {
    ...machine.parts,
    clock: { ...machine.parts.clock, sleep: async () => await nextTick() },
    mountAt: async () => await Promise.resolve(stillThere ? '0:1' : undefined),
  };
  const mount = await KeptMount.start({ spec: specOf('/m'), parts }, () => undefined, signal);
  return { machine, mount };
}

it('mounts again what broke off while the kernel still has it, and says so', async () => {
  const { machine, mount } = await kept(true);
  machine.endFromOutside('/m');
  while (mount.status.repairs?.count !== 1) await nextTick();
  while (mount.status.state !== 'ready') await nextTick();
  expect([machine.mounted.has('/m'), machine.held]).toEqual([true, 2]);
  await mount.stop('wait', signal);
  expect(await mount.ended).toBeUndefined();
  expect(machine.held).toBe(0);
});

it('leaves alone what somebody unmounted', async () => {
  const { machine, mount } = await kept(false);
  const before = machine.events.filter((event) => event === 'attach').length;
  machine.endFromOutside('/m');
  expect(await mount.ended).toBeUndefined();
  expect(machine.events.filter((event) => event === 'attach').length).toBe(before);
});

it('gives up what cannot be mounted again, and tells why', async () => {
  const { machine, mount } = await kept(true);
  machine.failAt = 'connect';
  machine.endFromOutside('/m');
  expect(await mount.ended).toMatchObject({ kind: 'unreachable' });
  expect([mount.gaveUp, machine.held]).toEqual([true, 0]);
});
