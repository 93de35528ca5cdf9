/** What the tests on real mounts rely on: one that fails leaves nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { mountsBelow, type WireUser } from '../../scripts/demo/wire-user.ts';
import { canMount, exists, Scene } from '../fixtures/real-mount.ts';
import { processesOf } from '../fixtures/scene-processes.ts';

/** A mount in the background and one in the foreground, which nobody ends. */
async function leaveMounts(): Promise<{ user: WireUser; served: number }> {
  await using scene = await Scene.open();
  await scene.login();
  const { playground, user } = scene;
  const source = `s3://${playground.bucket}`;
  await scene.mount(source, scene.place('daemon'));
  const line = user.commandLine(['mount', source, scene.place('own'), ...scene.store, '--mkdir']);
  const [program = '', ...args] = line;
  const env = { ...process.env, ...user.environment };
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const served = (await processesOf(user)).length;
  expect((await mountsBelow(user.folder)).length).toBe(2);
  // A stopped process hears no SIGTERM.
  for (const pid of await scene.daemons()) process.kill(pid, 'SIGSTOP');
  return { user, served };
}

describe.skipIf(!canMount)('a test that ends before its mounts', () => {
  it('leaves no process, no mount and no file', async () => {
    const { user, served } = await leaveMounts();
    expect(served).toBe(2);
    expect(await processesOf(user)).toEqual([]);
    expect(await mountsBelow(user.folder)).toEqual([]);
    expect(await exists(user.folder)).toBe(false);
  });
});
