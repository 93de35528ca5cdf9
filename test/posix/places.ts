/** Folders to run the table in. Nothing of them is left after disposal. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../scripts/demo/programs.ts';
import type { ServerName } from '../../scripts/servers/real-server.ts';
import { prepareServer, serverNames } from '../../scripts/servers/start.ts';
import { Closers } from '../../src/lib/closers.ts';
import { Scene, unmountAll } from '../fixtures/real-mount.ts';
import { ServerScene } from '../servers/server-scene.ts';
import type { Mode } from './exceptions.ts';

/** A little more than the whole table takes on a busy machine. */
const PATIENCE_MS = 400_000;

/** Stores that a mount can be of. */
export type StoreName = ServerName;
export const storeNames: readonly StoreName[] = serverNames;

export class OpenPlace implements AsyncDisposable {
  /** Root's, and everybody may enter. */
  readonly path: string;
  readonly #closers: Closers;

  constructor(path: string, closers: Closers) {
    this.path = path;
    this.#closers = closers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers[Symbol.asyncDispose]();
  }
}

/** A tmpfs of its own, mounted as the mounts of wire are. */
export async function tmpfsPlace(signal: AbortSignal): Promise<OpenPlace> {
  await using closers = new Closers();
  const folder = await mkdtemp(join(tmpdir(), 'wire-posix-'));
  closers.defer(async () => await rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  const path = join(folder, 'tmpfs');
  await mkdir(path);
  await run('mount', ['-t', 'tmpfs', '-o', 'nosuid,nodev,mode=755', 'wire-posix', path], signal);
  closers.defer(async () => await unmountAll(folder));
  return new OpenPlace(path, closers.move());
}

/**
 * The first bucket of a store, mounted by the real command as alice.
 *
 * @param more flags of the mount beside those of the mode.
 */
export async function mountedPlace(
  store: StoreName,
  mode: Mode,
  more: readonly string[],
  signal: AbortSignal,
): Promise<OpenPlace> {
  await using closers = new Closers();
  const scene = closers.use(await openScene(store, signal));
  const bucket = scene instanceof Scene ? scene.playground.bucket : scene.bucket;
  await scene.login();
  const path = scene.place('mnt');
  const flags = mode === 'posix' ? ['--posix'] : [];
  await scene.mount(`s3://${bucket}`, path, '--allow-other', ...flags, ...more);
  // Checks work as other users too.
  await chmod(scene.user.folder, 0o755);
  return new OpenPlace(path, closers.move());
}

async function openScene(store: StoreName, signal: AbortSignal): Promise<Scene | ServerScene> {
  if (store === 'playground') return await Scene.open({}, PATIENCE_MS);
  await prepareServer(store, () => undefined, signal);
  return await ServerScene.open(store, {}, signal);
}
