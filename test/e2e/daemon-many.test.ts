/** One daemon with many mounts, and the end of a mount at a signal. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { canMount, Scene, wireCommand } from '../fixtures/real-mount.ts';

/** No upload gets an answer meanwhile. */
const STALLED_MS = 100_000;

function stall({ playground }: Scene): void {
  playground.s3.faults.stallNext(1_000_000, STALLED_MS, { operation: 'PutObject' });
}

/** Of the file that was left in the journal, the mount is made again and has it in the bucket. */
async function savedByNextMount(scene: Scene, place: string, key: string): Promise<string> {
  const { playground, user, signal } = scene;
  playground.s3.faults.clear();
  await scene.mount(`s3://${playground.bucket}`, place, '--write-back');
  await user.wire(['unmount', place], signal);
  return String(await playground.s3.foreign.getObject(playground.bucket, key));
}

/** `wire mount` in the foreground, and what it says. */
async function foreground(
  scene: Scene,
  args: readonly string[],
): Promise<{
  readonly ended: Promise<{ readonly code: number | null; readonly said: string }>;
  readonly stop: (name: NodeJS.Signals) => void;
}> {
  const line = [process.execPath, wireCommand, 'mount', ...args];
  const [program = '', ...rest] = line;
  const child = spawn(program, rest, {
    env: { ...process.env, ...scene.user.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: scene.signal,
    killSignal: 'SIGKILL',
  });
  child.on('error', () => undefined);
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, said }));
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { ended, stop: (name) => void child.kill(name) };
}

describe.skipIf(!canMount)('one daemon', () => {
  it('has 64 mounts that were asked for in one call, each with its own content, and unmounts all', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const places = Array.from({ length: 64 }, (_, at) => scene.place(`m${at}`));
    const pairs = places.flatMap((place, at) => [`s3://${playground.bucket}/p${at}`, place]);
    await user.wire(['mount', ...pairs, ...scene.store, '--mkdir', '--daemon'], signal);
    const pids = await scene.daemons();
    expect([pids.length, new Set(pids).size]).toEqual([64, 1]);
    await Promise.all(places.map(async (place, at) => await writeFile(join(place, 'x'), `${at}`)));
    for (const at of [0, 31, 63]) {
      const stored = await playground.s3.foreign.getObject(playground.bucket, `p${at}/x`);
      expect(String(stored)).toBe(`${at}`);
      expect(await readdir(places[at] ?? '')).toEqual(['x']);
    }
    await user.wire(['unmount', '--all'], signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
    await untilEnded(pids[0] ?? 0, signal);
  });
});

describe.skipIf(!canMount)('a mount in the foreground', () => {
  it('at SIGTERM ends with 0 within --stop-timeout, with what is not saved in the journal and told', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const place = scene.place('m');
    const source = `s3://${scene.playground.bucket}`;
    const flags = [...scene.store, '--mkdir', '--write-back', '--stop-timeout', '2s'];
    const { ended, stop } = await foreground(scene, [source, place, ...flags]);
    stall(scene);
    await writeFile(join(place, 'thesis'), 'years of work');
    stop('SIGTERM');
    const { code, said } = await ended;
    expect({ code, said }).toEqual({ code: 0, said });
    expect(said).toMatch(/Warning: cannot save all that was written to/);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
    expect(await savedByNextMount(scene, place, 'thesis')).toBe('years of work');
  });
});
