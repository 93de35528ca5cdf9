import { describe, expect, it } from 'vitest';
import { statusLines } from '../../../src/cli/views/status-view.ts';
import { type LiveMount, startMount } from '../../../src/daemon/mount.ts';
import { composeStatus } from '../../../src/daemon/status.ts';
import type { WireError } from '../../../src/lib/wire-error.ts';
import { FakeMachine, specOf } from './fake-mounts.ts';

const never = new AbortController().signal;

const failed = (name: string, keptAt?: string) => ({
  name,
  message: 'AccessDenied',
  atMs: 0,
  ...(keptAt !== undefined && { keptAt }),
});

async function mountOn(machine: FakeMachine): Promise<LiveMount> {
  return await startMount(specOf('/m'), machine.parts, () => undefined, never);
}

async function refusalOf(work: Promise<void>): Promise<string> {
  return await work.then(
    () => 'done',
    (error: unknown) => (error as WireError).toLine(),
  );
}

describe('what could not be saved', () => {
  it('holds the mount while it is only there, and is told by name and reason', async () => {
    const machine = new FakeMachine();
    const mount = await mountOn(machine);
    machine.unsaved = true;
    machine.failures.push(failed('a'), failed('thesis'));
    expect(await refusalOf(mount.stop('wait', never))).toBe(
      'cannot unmount /m: 1 of its files cannot be saved (thesis: AccessDenied); ' +
        'the mount goes on and holds the bytes; try again when the store takes them',
    );
    expect(machine.mounted.has('/m')).toBe(true);
    machine.unsaved = false;
    await mount.stop('wait', never);
  });

  it('is told with its place when the mount ends, one file or several', async () => {
    for (const [names, told] of [
      [['thesis'], 'thesis: AccessDenied; its bytes are kept in /kept/thesis'],
      [['a', 'b'], 'a, b: AccessDenied; their bytes are kept in /kept'],
    ] as const) {
      const machine = new FakeMachine();
      const mount = await mountOn(machine);
      for (const name of names) machine.failures.push(failed(name, `/kept/${name}`));
      expect(await refusalOf(mount.stop('wait', never))).toBe(
        `cannot save all that was written to /m: ${told}`,
      );
      expect(await mount.ended).toMatchObject({ kind: 'not-saved', exitCode: 12 });
      expect([machine.mounted.size, machine.held]).toEqual([0, 0]);
    }
  });

  it('is forgotten when a later try saved it', async () => {
    const machine = new FakeMachine();
    const mount = await mountOn(machine);
    machine.failures.push(failed('thesis'));
    expect(await refusalOf(mount.stop('wait', never))).toBe('done');
  });

  it('is a line of `wire status`, once for each file', async () => {
    const machine = new FakeMachine();
    const mount = await mountOn(machine);
    machine.unsaved = true;
    machine.failures.push(failed('thesis'), failed('b\n\x1b[2J'), failed('thesis', '/kept/thesis'));
    const process = { pid: 7, version: '1', startedMs: 0, mounts: [mount.status] };
    const status = composeStatus([{ socketPath: '/s', status: process }], [], { logins: [] });
    const lines = statusLines(status, 0).slice(0, -1);
    expect(lines.map((line) => line.replace(/\d\d:\d\d/g, 'TIME'))).toEqual([
      '/m: ready: s3://b at https://s3.example, credentials until TIME, ' +
        'not saved yet: 1 file, 0 B (pid 7)',
      '  TIME not saved: thesis: AccessDenied; its bytes are kept in /kept/thesis',
      '  TIME not saved: b??[2J: AccessDenied',
    ]);
  });
});
