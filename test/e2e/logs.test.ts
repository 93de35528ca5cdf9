import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canMount, Scene } from '../fixtures/real-mount.ts';

/** `wire logs -f ...args`, with all it has said so far. */
function follow(
  scene: Scene,
  ...args: readonly string[]
): ChildProcess & { readonly said: () => string } {
  const [program = '', ...rest] = scene.user.commandLine(['logs', '-f', ...args]);
  const env = { ...process.env, ...scene.user.environment };
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'], env });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return Object.assign(child, { said: () => text });
}

describe.skipIf(!canMount)('wire logs', () => {
  it('follows a mount through its life and a log that is begun anew, until Ctrl-C', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    await scene.login();
    const [mountPoint, other] = [scene.place('bucket'), scene.place('other')];
    const child = follow(scene, '--mount', mountPoint, '--json', '--lines', '0');
    const ended = once(child, 'exit');
    try {
      await scene.mount('s3://alice', other);
      await scene.mount(`s3://${playground.bucket}`, mountPoint);
      await expect.poll(child.said, { timeout: 20_000 }).toContain('"event":"ready"');
      const log = join(user.folder, 'state', 'wire.log');
      await rename(log, `${log}.1`);
      await user.wire(['unmount', mountPoint], signal);
      await expect.poll(child.said, { timeout: 20_000 }).toContain('"event":"unmounted"');
      expect((await stat(log)).mode & 0o777).toBe(0o600);
      const entries = child
        .said()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      const points = new Set(entries.map(({ mountPoint: point }) => point));
      expect(points).toContain(mountPoint);
      expect(points).not.toContain(other);
      // Once each: what was read before the exchange is not told again.
      expect(entries.filter(({ event }) => event === 'ready')).toHaveLength(1);
      await user.wire(['unmount', other], signal);
    } finally {
      child.kill('SIGINT');
    }
    expect(await ended).toEqual([0, null]);
    // Without -f, from both files.
    const { stdout } = await user.wire(['logs', '--mount', mountPoint], signal);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info {2}attached \S+bucket pid=\d+$/m);
    expect(stdout).toMatch(/^\S+ \S+ info {2}unmounted /m);
  });

  it('ends when nobody reads on, and says so when there is nothing', async () => {
    await using scene = await Scene.open();
    const { user, signal } = scene;
    const nothing = await user.wire(['logs'], signal);
    expect(nothing).toMatchObject({ exitCode: 0, stdout: '' });
    expect(nothing.stderr).toMatch(/^Nothing of that is in .*wire\.log\.$/m);
    const log = join(user.folder, 'state', 'wire.log');
    await writeFile(log, 'one\n');
    const child = follow(scene);
    await expect.poll(child.said, { timeout: 20_000 }).toBe('one\n');
    const ended = once(child, 'exit');
    child.stdout?.destroy();
    await expect
      .poll(
        async () => {
          await appendFile(log, 'more\n');
          return child.exitCode;
        },
        { timeout: 20_000, interval: 100 },
      )
      .toBe(0);
    await ended;
  });
});
