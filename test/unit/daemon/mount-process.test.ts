import { setImmediate as nextTick } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mounts } from '../../../src/daemon/mounts.ts';
import type { StopSignal } from '../../../src/daemon/stop-signals.ts';
import type { WireError } from '../../../src/lib/wire-error.ts';
import { FakeMachine, FakeSignals, failure, processOf, steps } from './fake-mounts.ts';

const never = new AbortController().signal;

interface Running {
  readonly machine: FakeMachine;
  readonly signals: FakeSignals;
  readonly process: Mounts;
  readonly troubles: WireError[];
  readonly readied: string[];
  /** Resolves when the process's work is over, to its error or undefined. */
  readonly end: Promise<unknown>;
}

function start(machine: FakeMachine, ...mountPoints: string[]): Running {
  const signals = new FakeSignals();
  const troubles: WireError[] = [];
  const readied: string[] = [];
  const { mounts: process, run } = processOf(machine.parts, {
    ready: (mounts) => void readied.push(...mounts.map((mount) => mount.mountPoint)),
    trouble: (error) => void troubles.push(error),
  });
  const end = run(mountPoints, signals, never).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { machine, signals, process, troubles, readied, end };
}

async function startReady(machine: FakeMachine, ...mountPoints: string[]): Promise<Running> {
  const running = start(machine, ...mountPoints);
  while (running.readied.length < mountPoints.length) await nextTick();
  return running;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await nextTick();
}

describe('MountProcess', () => {
  it('takes the mount point first and says ready last, after the root has answered', async () => {
    const { machine, signals, end } = await startReady(new FakeMachine(), '/m');
    expect(machine.events).toEqual([...steps]);
    signals.send('SIGTERM');
    expect(await end).toBeUndefined();
  });

  it('leaves nothing behind whichever step fails, and tells that step’s error', async () => {
    const machines = fc.record({
      failAt: fc.constantFrom(...steps),
      count: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(machines, async ({ failAt, count }) => {
        const machine = new FakeMachine();
        machine.failAt = failAt;
        const places = Array.from({ length: count }, (_, at) => `/m${at}`);
        const { end, readied, signals } = start(machine, ...places);
        expect(await end).toMatchObject({ kind: 'unreachable' });
        expect({ mounted: machine.mounted.size, held: machine.held, readied }).toEqual({
          mounted: 0,
          held: 0,
          readied: [],
        });
        expect(machine.events).not.toContain('closed under the mount');
        expect(signals.listening).toBe(0);
      }),
    );
  });

  it('a signal at any step before it is ready undoes all and is told as interrupted', async () => {
    const names = fc.constantFrom<StopSignal>('SIGINT', 'SIGTERM', 'SIGHUP');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('prepare', 'attach', 'connect', 'stat'),
        names,
        async (step, name) => {
          const machine = new FakeMachine();
          const running: { signals?: FakeSignals } = {};
          machine.onStep = async (at) => {
            await nextTick(); // the first step begins before `start` has returned
            if (at === step) running.signals?.send(name);
          };
          const { signals, end, readied } = start(machine, '/m');
          running.signals = signals;
          expect(await end).toMatchObject({ kind: 'interrupted', exitCode: 130 });
          expect([machine.mounted.size, machine.held, readied.length]).toEqual([0, 0, 0]);
        },
      ),
      { numRuns: 24 },
    );
  });

  it('hears a signal that comes when all is mounted, but the start not over', async () => {
    const machine = new FakeMachine();
    const signals = new FakeSignals();
    const readied: string[] = [];
    const events = { ready: () => void readied.push('ready'), trouble: () => undefined };
    const { run } = processOf(machine.parts, events, {}, () => signals.send('SIGINT'));
    await expect(run(['/m', '/n'], signals, never)).rejects.toMatchObject({ kind: 'interrupted' });
    expect([machine.mounted.size, machine.held, readied.length]).toEqual([0, 0, 0]);
  });

  it('one mount that cannot be made takes the others with it', async () => {
    const machine = new FakeMachine();
    const attach = machine.parts.attach.bind(machine.parts);
    Object.assign(machine.parts, {
      attach: async (...args: Parameters<typeof attach>) => {
        if (args[0].mountPoint === '/bad') throw failure('attach /bad');
        return await attach(...args);
      },
    });
    const { end, readied } = start(machine, '/good', '/bad');
    expect(await end).toMatchObject({ facts: { tried: 'attach /bad' } });
    expect([machine.mounted.size, machine.held, readied.length]).toEqual([0, 0, 0]);
  });

  it('refuses a mount whose root turns out to be the bare folder', async () => {
    const machine = new FakeMachine();
    machine.onStep = (step) => {
      if (step === 'stat') machine.mounted.clear();
    };
    expect(await start(machine, '/m').end).toMatchObject({ kind: 'mount-point' });
  });

  it.each<StopSignal>(['SIGINT', 'SIGTERM', 'SIGHUP'])(
    'at %s saves, unmounts, then closes, in this order, and ends well',
    async (name) => {
      const { machine, signals, end } = await startReady(new FakeMachine(), '/m');
      machine.events.length = 0;
      signals.send(name);
      expect(await end).toBeUndefined();
      expect(machine.events).toEqual([
        'sync',
        'unmount wait',
        'sync',
        'closed after it',
        'lease returned',
      ]);
      expect(machine.held).toBe(0);
    },
  );

  it('at SIGINT a mount in use goes on and it is told who uses it; the second one ends it', async () => {
    const { machine, signals, troubles, end } = await startReady(new FakeMachine(), '/m');
    machine.busy = true;
    signals.send('SIGINT');
    await settle();
    expect(troubles.map((error) => error.facts.answered)).toEqual(['it is in use by bash (7)']);
    expect(machine.mounted.has('/m')).toBe(true);
    signals.send('SIGINT');
    expect(await end).toBeUndefined();
    expect([machine.mounted.size, machine.held]).toEqual([0, 0]);
  });

  it('at SIGINT a mount that cannot be saved goes on; the second one ends it as not saved', async () => {
    const { machine, signals, troubles, end } = await startReady(new FakeMachine(), '/m');
    machine.unsaved = true;
    signals.send('SIGINT');
    await settle();
    expect(troubles.map((error) => error.kind)).toEqual(['not-saved']);
    expect(machine.mounted.has('/m')).toBe(true);
    signals.send('SIGINT');
    expect(await end).toMatchObject({ kind: 'not-saved', exitCode: 12 });
    expect(machine.mounted.size).toBe(0);
  });

  it('at SIGTERM a mount in use is taken away from its users', async () => {
    const { machine, signals, end } = await startReady(new FakeMachine(), '/m');
    machine.busy = true;
    signals.send('SIGTERM');
    expect(await end).toBeUndefined();
    expect([machine.mounted.size, machine.held]).toEqual([0, 0]);
  });

  it('ends when somebody else unmounts, and says so if something is not saved then', async () => {
    const { machine, end } = await startReady(new FakeMachine(), '/m');
    machine.unsaved = true;
    machine.endFromOutside('/m');
    expect(await end).toMatchObject({ kind: 'not-saved' });
    expect(machine.held).toBe(0);
  });

  it('unmounts one of several and serves the others', async () => {
    const { machine, process, signals, end } = await startReady(new FakeMachine(), '/a', '/b');
    await process.unmount('/a', 'wait', never);
    await settle();
    expect(process.status.map((mount) => mount.mountPoint)).toEqual(['/b']);
    await expect(process.unmount('/a', 'wait', never)).rejects.toMatchObject({ kind: 'not-found' });
    machine.busy = true;
    await expect(process.unmount('/b', 'wait', never)).rejects.toMatchObject({
      kind: 'mount-point',
    });
    expect(process.status[0]?.state).toBe('ready');
    await process.unmount('/b', 'lazy', never);
    expect(await end).toBeUndefined();
    expect(signals.listening).toBe(0);
  });

  it('unmounts on the way out of a process that broke down, whether ready or not', async () => {
    const ready = await startReady(new FakeMachine(), '/m');
    ready.process.crash();
    expect(ready.machine.mounted.has('/m')).toBe(false);
    await ready.end;

    const machine = new FakeMachine();
    let free = (): void => undefined;
    const block = new Promise<void>((resolve) => {
      free = resolve;
    });
    machine.onStep = async (step) => {
      if (step === 'connect') await block;
    };
    const starting = start(machine, '/m');
    while (!machine.events.includes('connect')) await nextTick();
    starting.process.crash();
    expect(machine.mounted.has('/m')).toBe(false);
    machine.failAt = 'connect';
    free();
    await starting.end;
  });
});
