import { describe, expect, it } from 'vitest';
import { Mounts } from '../../../src/daemon/mounts.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { FakeMachine, specOf } from './fake-mounts.ts';

const { signal } = new AbortController();

describe('mounts of one process', () => {
  it('that are asked for at once at the same place are one, and the other is refused', async () => {
    const machine = new FakeMachine();
    const mounts = new Mounts(machine.parts.log);
    const order = { spec: specOf('/m'), parts: machine.parts };
    const told = await Promise.allSettled([
      mounts.add([order], signal),
      mounts.add([order], signal),
    ]);
    expect(told.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(told.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: {
        kind: 'mount-point',
        facts: { answered: 'something is mounted there already (busy)' },
      },
    });
    await expect(mounts.add([order], signal)).rejects.toMatchObject({ kind: 'mount-point' });
    expect(machine.events.filter((event) => event === 'attach')).toHaveLength(1);
    await mounts.unmount('/m', 'wait', signal);
    await mounts.add([order], signal);
    await mounts.unmount('/m', 'wait', signal);
    expect(machine.held).toBe(0);
  });

  it('of which two name the same place are none', async () => {
    const machine = new FakeMachine();
    const mounts = new Mounts(machine.parts.log);
    const orders = ['/m', '/n', '/m'].map((at) => ({ spec: specOf(at), parts: machine.parts }));
    await expect(mounts.add(orders, signal)).rejects.toMatchObject({ kind: 'mount-point' });
    expect([machine.mounted.size, machine.held, mounts.living.length]).toEqual([0, 0, 0]);
  });
});

describe('a mount that is busy', () => {
  /** `users` are found at each look, one after the other. */
  async function busy(...users: readonly (readonly string[])[]) {
    const machine = new FakeMachine();
    const clock = new InstantClock();
    let looks = 0;
    const usersOf = async (): Promise<readonly string[]> => {
      looks += 1;
      // Whoever it was, he is gone after that many looks.
      if (looks >= users.length) machine.busy = false;
      return await Promise.resolve(users[looks - 1] ?? []);
    };
    const mounts = new Mounts(machine.parts.log);
    await mounts.add([{ spec: specOf('/m'), parts: { ...machine.parts, clock, usersOf } }], signal);
    machine.busy = true;
    clock.slept.length = 0;
    return { machine, mounts, clock };
  }

  it('for a moment, with nobody who uses it, is unmounted a little later', async () => {
    const { machine, mounts, clock } = await busy([], [], []);
    await mounts.unmount('/m', 'wait', signal);
    expect([machine.mounted.size, clock.slept]).toEqual([0, [50, 50, 50]]);
  });

  it('with somebody who uses it is told at once', async () => {
    const { mounts, clock } = await busy(['bash (7)'], ['bash (7)'], []);
    await expect(mounts.unmount('/m', 'wait', signal)).rejects.toMatchObject({
      facts: { answered: 'it is in use by bash (7)' },
    });
    expect(clock.slept).toEqual([]);
  });

  it('for longer than a second is told, and goes on', async () => {
    const { mounts, clock } = await busy(...Array.from({ length: 100 }, () => []));
    await expect(mounts.unmount('/m', 'wait', signal)).rejects.toMatchObject({
      facts: { answered: 'it is in use by a program' },
    });
    const slept = clock.slept.reduce((all, ms) => all + ms, 0);
    expect([slept, mounts.status[0]?.state]).toEqual([1_000, 'ready']);
  });
});
