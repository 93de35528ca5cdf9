import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

/** Files that are closed before the process is killed. */
const FILES = 500;
/** No upload gets an answer meanwhile. */
const STALLED_MS = 100_000;

/** Ends the process that serves the mount of `scene` in no orderly way. */
async function kill(scene: Scene): Promise<void> {
  const [pid = 0] = await scene.daemons();
  process.kill(pid, 'SIGKILL');
  await untilEnded(pid, scene.signal);
}

function contentOf(at: number): string {
  return createHash('sha256')
    .update(`${at}`)
    .digest('hex')
    .repeat((at % 50) + 1);
}

function names(): readonly string[] {
  return Array.from({ length: FILES }, (_, at) => `f${at}`);
}

/** Writes and closes them while no upload gets an answer, and kills the process. */
async function writeAndKill(scene: Scene, mountPoint: string): Promise<void> {
  const { faults } = scene.playground.s3;
  faults.stallNext(1_000_000, STALLED_MS, { operation: 'PutObject' });
  for (const [at, name] of names().entries()) {
    await writeFile(join(mountPoint, name), contentOf(at));
  }
  await kill(scene);
  faults.clear();
}

/** Objects of the playground's bucket by key, those of a test alone. */
function keysBelow({ playground }: Scene, prefix: string): readonly string[] {
  const keys = playground.s3.foreign.objects(playground.bucket).map(({ key }) => key);
  return keys.filter((key) => key.startsWith(prefix) && key !== prefix);
}

async function left(scene: Scene): Promise<readonly { readonly name: string; id: string }[]> {
  const { stdout } = await scene.user.wire(['recover', '--list', '--json'], scene.signal);
  return JSON.parse(stdout) as { name: string; id: string }[];
}

describe.skipIf(!canMount || !isRoot)('write-back through a real mount', () => {
  it.each(['on', 'durable'])(
    'saves each of 500 files that were closed before kill -9, after the next mount (%s)',
    async (mode) => {
      await using scene = await Scene.open();
      await scene.login();
      const { playground, user, signal } = scene;
      const source = `s3://${playground.bucket}/public`;
      const mountPoint = scene.place('bucket');
      const flag = `--write-back=${mode}`;
      await scene.mount(source, mountPoint, flag);
      await writeAndKill(scene, mountPoint);
      const before = new Set(keysBelow(scene, 'public/f'));
      expect(before.size).toBeLessThan(FILES);
      expect(await left(scene)).toHaveLength(FILES);
      await scene.mount(source, mountPoint, flag);
      for (const [at, name] of names().entries()) {
        expect(await readFile(join(mountPoint, name), 'utf8')).toBe(contentOf(at));
      }
      await user.wire(['unmount', mountPoint], signal);
      expect(keysBelow(scene, 'public/f')).toHaveLength(FILES);
      expect(await left(scene)).toEqual([]);
      await scene.mount(source, mountPoint);
      for (const [at, name] of names().entries()) {
        expect(await readFile(join(mountPoint, name), 'utf8')).toBe(contentOf(at));
      }
      await user.wire(['unmount', mountPoint], signal);
    },
  );

  it('uploads nothing that another person had written, and shows and exports it', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const source = `s3://${playground.bucket}/public`;
    const mountPoint = scene.place('bucket');
    await scene.mount(source, mountPoint, '--write-back');
    await writeAndKill(scene, mountPoint);
    const before = keysBelow(scene, 'public/f');
    await user.wire(['logout'], signal);
    await scene.login('bob');
    await scene.mount(source, mountPoint, '--write-back', '--role', 'personal');
    expect((await readdir(mountPoint)).filter((name) => name.startsWith('f'))).toEqual(
      before.map((key) => key.slice('public/'.length)),
    );
    const { stdout } = await user.wire(['status'], signal);
    expect(stdout).toContain(`${FILES} files`);
    const folder = join(user.folder, 'recovered');
    await user.wire(['recover', '--to', folder], signal);
    const [one] = (await left(scene)).filter(({ name }) => name.endsWith('/f7'));
    expect(await readFile(join(folder, `${one?.name}.${one?.id}`), 'utf8')).toBe(contentOf(7));
    await user.wire(['unmount', mountPoint], signal);
    expect(keysBelow(scene, 'public/f')).toEqual(before);
    expect(await left(scene)).toHaveLength(FILES);
    await user.wire(['recover', '--discard', one?.id ?? ''], signal);
    expect(await left(scene)).toHaveLength(FILES - 1);
  });

  it('waits for the bucket when the local disk is nearly full', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    const state = join(user.folder, 'state');
    await mkdir(state, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tmpfs', state], signal);
    try {
      await scene.login();
      const mountPoint = scene.place('bucket');
      await scene.mount(`s3://${playground.bucket}/public`, mountPoint, '--write-back');
      const content = 'x'.repeat(64 * 1024);
      for (const name of names().slice(0, 200)) await writeFile(join(mountPoint, name), content);
      await user.wire(['unmount', mountPoint], signal);
      const objects = playground.s3.foreign.objects(playground.bucket);
      const saved = objects.filter(({ key }) => key.startsWith('public/f'));
      expect(saved).toHaveLength(200);
      expect(saved.every(({ size }) => size === content.length)).toBe(true);
    } finally {
      await run('umount', ['-l', state], new AbortController().signal);
    }
  });

  it('unmounts when the store is away, says what stays in the journal, and saves it later', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, user, signal } = scene;
    const source = `s3://${playground.bucket}/public`;
    const mountPoint = scene.place('bucket');
    await scene.mount(source, mountPoint, '--write-back');
    const failure = { operation: 'PutObject', status: 503, code: 'ServiceUnavailable' };
    playground.s3.faults.failNext(1_000_000, failure);
    await writeFile(join(mountPoint, 'fate'), 'sealed');
    const told = await user.wire(['unmount', mountPoint], signal, { allow: [12] });
    expect(told.exitCode).toBe(12);
    expect(told.stderr).toContain('1 file is in the journal');
    playground.s3.faults.clear();
    expect(await left(scene)).toMatchObject([{ name: `${playground.bucket}/public/fate` }]);
    await scene.mount(source, mountPoint);
    expect(await readFile(join(mountPoint, 'fate'), 'utf8')).toBe('sealed');
    await user.wire(['unmount', mountPoint], signal);
    expect(keysBelow(scene, 'public/fat')).toHaveLength(1);
    expect(await left(scene)).toEqual([]);
  });
});
