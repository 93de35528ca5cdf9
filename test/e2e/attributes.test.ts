/** Modes, owners, times, links and extended attributes on a real mount, by the programs that set them. */
import { chmod, lstat, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

const WRITES = ['PutObject', 'CopyObject', 'DeleteObject', 'CreateMultipartUpload'];

class AttributeScene {
  readonly scene: Scene;

  private constructor(scene: Scene) {
    this.scene = scene;
  }

  static async open(): Promise<AttributeScene & AsyncDisposable> {
    const scene = await Scene.open();
    await scene.login();
    const made = new AttributeScene(scene);
    return Object.assign(made, {
      [Symbol.asyncDispose]: async () => await scene[Symbol.asyncDispose](),
    });
  }

  async mount(...more: readonly string[]): Promise<string> {
    const place = this.scene.place('mount');
    const source = `s3://${this.scene.playground.bucket}/data`;
    const cache = this.scene.place('cache');
    await this.scene.mount(source, place, '--cache-dir', cache, ...more);
    return place;
  }

  async unmount(): Promise<void> {
    await this.scene.user.wire(['unmount', this.scene.place('mount')], this.scene.signal);
  }

  /** Ends the mount and begins another; `fresh`: on a machine that knows nothing of it. */
  async remount(how: 'same' | 'fresh', ...more: readonly string[]): Promise<string> {
    await this.unmount();
    if (how === 'fresh') await run('rm', ['-rf', this.scene.place('cache')], this.scene.signal);
    return await this.mount(...more);
  }

  async run(program: string, ...args: readonly string[]): Promise<string> {
    return (await run(program, args, this.scene.signal)).stdout;
  }

  /** A folder outside of the mount. */
  async source(): Promise<string> {
    const folder = this.scene.place('source');
    await mkdir(join(folder, 'bin'), { recursive: true });
    await mkdir(join(folder, 'closed'));
    await writeFile(join(folder, 'bin', 'tool'), '#!/bin/sh\n');
    await chmod(join(folder, 'bin', 'tool'), 0o755);
    await writeFile(join(folder, 'secret'), 'content');
    await chmod(join(folder, 'secret'), 0o600);
    await symlink('bin/tool', join(folder, 'link'));
    await symlink('nowhere', join(folder, 'dangling'));
    await this.run('mkfifo', join(folder, 'fifo'));
    for (const name of ['bin/tool', 'secret', 'bin', 'closed']) {
      await utimes(join(folder, name), 1_600_000_000, 1_500_000_000);
    }
    await chmod(join(folder, 'closed'), 0o700);
    return folder;
  }

  requests(...operations: readonly string[]): number {
    const { counters } = this.scene.playground.s3;
    return operations.reduce((sum, name) => sum + counters.requests(name), 0);
  }
}

/**
 * What stat tells of all names below `folder`, a line for each, but what differs by file system. By
 * another process: the store is served by this one, which must not wait for itself.
 */
async function described(folder: string): Promise<readonly string[]> {
  const fields = '%P %y %m %U %G %Ts %l';
  const words = [folder, '-mindepth', '1', '-type', 'd', '-printf', `${fields}\\n`];
  const sized = ['-o', '-printf', `${fields} %s\\n`];
  const { stdout } = await run('find', [...words, ...sized], AbortSignal.timeout(60_000));
  return stdout.split('\n').sort();
}

describe.skipIf(!canMount)('attributes through a mount', () => {
  it('are as cp -a has set them, after a remount, and on another machine with --posix', async () => {
    await using made = await AttributeScene.open();
    const source = await made.source();
    const copy = join(await made.mount(), 'copy');
    await made.run('cp', '-a', source, copy);
    const wanted = await described(source);
    expect(await described(copy)).toEqual(wanted);
    await made.remount('same');
    expect(await described(copy)).toEqual(wanted);
    const before = made.requests('HeadObject');
    await made.remount('same', '--posix');
    expect(await described(copy)).toEqual(wanted);
    // The folder that is mounted has been asked for its own object.
    expect(made.requests('HeadObject') - before).toBeLessThanOrEqual(2);
    await made.remount('fresh', '--posix');
    expect(await described(copy)).toEqual(wanted);
  });

  it('are as tar has packed them', async () => {
    await using made = await AttributeScene.open();
    const source = await made.source();
    const archive = made.scene.place('archive.tar');
    await made.run('tar', '-C', source, '-cf', archive, '.');
    const place = join(await made.mount(), 'unpacked');
    await mkdir(place);
    await made.run('tar', '-C', place, '-xpf', archive);
    expect(await described(place)).toEqual(await described(source));
    const again = made.scene.place('again.tar');
    await made.run('tar', '-C', place, '-cf', again, '.');
    await made.run('tar', '-C', source, '-df', again);
  });

  it('spare rsync a second copy, also after a remount', async ({ skip }) => {
    if (!haveDebian(['rsync'], ['/usr/bin/rsync'])) skip();
    await using made = await AttributeScene.open();
    const source = await made.source();
    for (let nth = 0; nth < 20; nth += 1) await writeFile(join(source, `file-${nth}`), `${nth}`);
    const place = `${await made.mount()}/copy/`;
    const sync = async (): Promise<string> =>
      await made.run('rsync', '-a', '--no-devices', '--itemize-changes', `${source}/`, place);
    await mkdir(place);
    expect(await sync()).not.toBe('');
    for (const how of [[], ['--posix']]) {
      await made.remount('same', ...how);
      const writes = made.requests(...WRITES);
      expect(await sync()).toBe('');
      expect(made.requests(...WRITES)).toBe(writes);
    }
    await made.remount('fresh', '--posix');
    expect(await sync()).toBe('');
  });

  it('let git see after a remount that nothing has changed, without reading an object', async () => {
    await using made = await AttributeScene.open();
    // Its own files lie elsewhere, so that what is read of the bucket is of the work tree.
    const own = made.scene.place('git');
    const folder = join(await made.mount(), 'work');
    await mkdir(folder);
    const git = async (...args: readonly string[]): Promise<string> =>
      await made.run('git', `--git-dir=${own}`, `--work-tree=${folder}`, ...args);
    await git('init', '-q');
    for (let nth = 0; nth < 10; nth += 1) {
      const file = join(folder, `file-${nth}`);
      await writeFile(file, `${nth}`);
      // Git looks once more at what was written in the second of its index.
      await utimes(file, 1_500_000_000, 1_500_000_000);
    }
    await chmod(join(folder, 'file-1'), 0o755);
    await symlink('file-1', join(folder, 'link'));
    await git('add', '.');
    const who = ['-c', 'user.name=alice', '-c', 'user.email=alice@example.org'];
    await git(...who, 'commit', '-qm', 'first');
    for (const how of [[], ['--posix']]) {
      await made.remount('same', ...how);
      const reads = made.requests('GetObject');
      expect(await git('status', '--porcelain')).toBe('');
      expect(made.requests('GetObject')).toBe(reads);
    }
    expect(await git('ls-files', '-s', 'file-1', 'link')).toMatch(/^100755 .*\n120000 /);
  });

  it('that are set just before an unmount are in the bucket after it', async () => {
    await using made = await AttributeScene.open();
    const file = join(await made.mount(), 'file');
    await writeFile(file, 'content');
    await chmod(file, 0o640);
    await utimes(file, 1000, 2000);
    await made.remount('fresh', '--posix');
    const { mode, mtimeMs } = await lstat(file);
    expect([mode & 0o7777, mtimeMs]).toEqual([0o640, 2_000_000]);
    expect(made.requests('CopyObject')).toBe(1);
  });

  it('can be extended ones, which are kept too', async ({ skip }) => {
    if (!haveDebian(['attr'], ['/usr/bin/setfattr', '/usr/bin/getfattr'])) skip();
    await using made = await AttributeScene.open();
    const file = join(await made.mount(), 'file');
    await writeFile(file, 'content');
    await made.run('setfattr', '-n', 'user.comment', '-v', 'hello', file);
    await made.remount('fresh', '--posix');
    const get = async (name: string): Promise<string> =>
      await made.run('getfattr', '--only-values', '--absolute-names', '-n', name, file);
    expect(await get('user.comment')).toBe('hello');
    expect(await get('user.wire.key')).toBe('data/file');
    expect(await made.run('getfattr', '--absolute-names', '-d', '-m', '-', file)).not.toContain(
      'user.wire',
    );
  });

  it('of what no object can be are refused as link(2), mknod(2) and chmod(2) say', async () => {
    await using made = await AttributeScene.open();
    const place = await made.mount('--capacity', '10G');
    await writeFile(join(place, 'file'), 'content');
    const refused = async (...words: readonly [string, ...string[]]): Promise<string> => {
      const [program, ...args] = words;
      const { stderr } = await run(program, args, made.scene.signal, { allow: [0, 1] });
      return stderr;
    };
    expect(await refused('ln', join(place, 'file'), join(place, 'other'))).toContain(
      'not permitted',
    );
    expect(await made.run('df', '--output=size', '-B1', place)).toContain(String(10 * 2 ** 30));
    if (!isRoot) return;
    await made.run('mknod', join(place, 'null'), 'c', '1', '3');
    expect(await made.run('stat', '-c', '%F %t %T', join(place, 'null'))).toContain(
      'special file 1 3',
    );
    // Devices of a mount are never opened.
    expect(await refused('cat', join(place, 'null'))).toContain('Permission denied');
  });
});
