/**
 * Programs on a real mount beside the same programs on the local disk. Everything is run by `sh`:
 * to start a program in a mount from here would wait for the store, which this process is.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import { Closers } from '../../src/lib/closers.ts';
import { Scene } from '../fixtures/real-mount.ts';

/** A little more than the programs' tests may take together. */
const PATIENCE_MS = 240_000;

/** What programs see of the machine's settings: nothing. */
const PLAIN = {
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.org',
  LC_ALL: 'C.UTF-8',
};

export class ProgramScene implements AsyncDisposable {
  readonly scene: Scene;
  /** On the local disk. */
  readonly local: string;
  readonly #closers: Closers;
  #machines = 0;
  #mounted: string;

  private constructor(scene: Scene, local: string, mounted: string, closers: Closers) {
    this.scene = scene;
    this.local = local;
    this.#mounted = mounted;
    this.#closers = closers;
  }

  static async open(): Promise<ProgramScene> {
    await using closers = new Closers();
    const scene = closers.use(await Scene.open({}, PATIENCE_MS));
    await scene.login();
    const local = scene.place('local');
    await mkdir(local);
    const made = new ProgramScene(scene, local, scene.place('mnt'), closers.move());
    await made.#mount();
    return made;
  }

  /** The mount point. */
  get mounted(): string {
    return this.#mounted;
  }

  /** Unmounts, which saves everything, and mounts again. */
  async remount(): Promise<void> {
    await this.scene.user.wire(['unmount', this.#mounted], this.scene.signal);
    await this.#mount();
  }

  /**
   * As `remount`, but like a machine that has never seen the bucket: all it knows comes from there,
   * attributes with `--posix`.
   */
  async remountElsewhere(): Promise<void> {
    this.#machines += 1;
    await this.scene.user.wire(['unmount', this.#mounted], this.scene.signal);
    await this.#mount('--posix');
  }

  async #mount(...more: readonly string[]): Promise<void> {
    const caches = this.scene.place(`cache-${this.#machines}`);
    const { bucket } = this.scene.playground;
    const flags = ['--cache-dir', caches, ...more];
    await this.scene.mount(`s3://${bucket}`, this.#mounted, ...flags);
  }

  /** Runs a script in a folder of the mount. @returns its output. @throws Error when it fails. */
  async onMount(folder: string, script: string): Promise<string> {
    return (await this.#sh(join(this.#mounted, folder), script)).stdout;
  }

  async onDisk(folder: string, script: string): Promise<string> {
    return (await this.#sh(join(this.local, folder), script)).stdout;
  }

  /** Runs a script in a folder of the mount and in one of the disk, and compares what they print. */
  async onBoth(folder: string, script: string): Promise<string> {
    const [mount, disk] = [await this.onMount(folder, script), await this.onDisk(folder, script)];
    expect(mount).toBe(disk);
    return disk;
  }

  /** Makes the folder in both places. */
  async folder(name: string): Promise<void> {
    await this.#sh('/', `mkdir -p '${join(this.#mounted, name)}' '${join(this.local, name)}'`);
  }

  /** That a folder holds the same in both places, names and bytes. */
  async expectSame(folder: string): Promise<void> {
    const [mount, disk] = [join(this.#mounted, folder), join(this.local, folder)];
    const { stdout } = await this.#sh(
      '/',
      `diff -r --no-dereference '${disk}' '${mount}' 2>&1 || :`,
    );
    expect(stdout.split('\n').slice(0, 10).join('\n')).toBe('');
  }

  /** Starts a script in a folder of the mount, which goes on. It ends with the scene. */
  start(folder: string, script: string): ChildProcess {
    const child = spawn('sh', ['-ec', `cd "$0"\n${script}`, join(this.#mounted, folder)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // A group of its own, to be ended with all that the script has started.
      detached: true,
      env: { ...process.env, ...PLAIN },
    });
    this.#closers.defer(async () => await killGroup(child));
    return child;
  }

  /** Keys of the bucket below a folder, without the markers of folders. */
  keys(folder: string): readonly string[] {
    const { playground } = this.scene;
    const keys = playground.s3.foreign.objects(playground.bucket).map(({ key }) => key);
    return keys.filter((key) => key.startsWith(`${folder}/`) && !key.endsWith('/'));
  }

  /** What an object holds. */
  async object(key: string): Promise<Buffer> {
    const { playground } = this.scene;
    return Buffer.from((await playground.s3.foreign.getObject(playground.bucket, key)) ?? '');
  }

  async #sh(folder: string, script: string): Promise<Finished> {
    const args = ['-ec', `cd "$0"\n${script}`, folder];
    return await run('sh', args, this.scene.signal, { cwd: '/', env: PLAIN });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers[Symbol.asyncDispose]();
  }
}

/** Ends a script that was started, and all it has started, at once. */
export async function killGroup(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await gone;
}
