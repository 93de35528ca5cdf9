/** What the kernel keeps of a mount, what it is told, and what it serves without asking. */
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CreatedFile, OpenedFile, ReadBytes } from '../../src/fs/filesystem.ts';
import { type InodeNumber, ROOT_INODE } from '../../src/fs/ids.ts';
import type { KernelCache } from '../../src/fs/kernel-cache.ts';
import type { AttachedMount } from '../../src/fuse/linux/attached-mount.ts';
import { attachMount } from '../../src/fuse/linux/mount.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MemoryFileSystem } from '../fixtures/memory-filesystem.ts';
import { MountFolder, runProgram, whyNoMount } from '../fixtures/mount-tools.ts';

const why = await whyNoMount();
const { signal } = new AbortController();
/** The kernel may keep everything for as long as a test takes. */
const FOREVER_MS = 3_600_000;
const context = { uid: 0, gid: 0, pid: 1, signal };

/** Counts what the kernel asks, and opens files as told. */
class WatchedFileSystem extends MemoryFileSystem {
  readonly offersBacking: boolean = true;
  reads = 0;
  writes = 0;
  lookupsAsked = 0;
  getattrs = 0;
  listings = 0;
  /** Added to the answer of each open. */
  opening: Partial<OpenedFile> = {};

  constructor() {
    super({ ttlMs: FOREVER_MS });
  }

  override lookup(...args: Parameters<MemoryFileSystem['lookup']>) {
    this.lookupsAsked += 1;
    return super.lookup(...args);
  }

  override getattr(...args: Parameters<MemoryFileSystem['getattr']>) {
    this.getattrs += 1;
    return super.getattr(...args);
  }

  override open(...args: Parameters<MemoryFileSystem['open']>): OpenedFile {
    return { ...super.open(...args), ...this.opening };
  }

  override create(...args: Parameters<MemoryFileSystem['create']>): CreatedFile {
    return { ...super.create(...args), ...this.opening };
  }

  override opendir(...args: Parameters<MemoryFileSystem['opendir']>): OpenedFile {
    return { ...super.opendir(...args), ...this.opening };
  }

  override read(...args: Parameters<MemoryFileSystem['read']>): ReadBytes {
    this.reads += 1;
    return super.read(...args);
  }

  override write(...args: Parameters<MemoryFileSystem['write']>): void {
    this.writes += 1;
    super.write(...args);
  }

  override readdir(...args: Parameters<MemoryFileSystem['readdir']>): void {
    this.listings += 1;
    super.readdir(...args);
  }

  override readdirplus(...args: Parameters<MemoryFileSystem['readdirplus']>): void {
    this.listings += 1;
    super.readdirplus(...args);
  }

  inodeOf(name: string): InodeNumber {
    const { inode } = super.lookup(ROOT_INODE, Buffer.from(name));
    this.forget(inode, 1);
    return inode;
  }

  /** Behind the kernel's back, as another client of a bucket does. */
  rewrite(name: string, text: string): void {
    const flags = {
      access: 'read-write',
      truncate: true,
      append: false,
      exclusive: false,
    } as const;
    const file = super.create(ROOT_INODE, Buffer.from(name), 0o644, flags, context);
    super.write(file.handle, 0, Buffer.from(text));
    super.release(file.handle);
    this.forget(file.entry.inode, 1);
  }
}

describe.skipIf(why !== undefined)(`the kernel${why === undefined ? '' : ` (${why})`}`, () => {
  let folder: MountFolder;
  let mount: AttachedMount;
  let files: WatchedFileSystem;
  let kernel: KernelCache;
  const sh = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await runProgram('sh', [
      '-ec',
      `cd ${folder.mountPoint}\n${script}`,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout;
  };

  beforeEach(async () => {
    folder = await MountFolder.make();
    const { mountPoint } = folder;
    mount = await attachMount(
      { mountPoint, readOnly: false, allowOther: false, fsName: 'memory' },
      signal,
    );
    files = new WatchedFileSystem();
    kernel = mount.serve(files, silentLog);
  });
  afterEach(async () => {
    await mount[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it('keeps pages of a file opened with keepCache, until it is told that they are old', async () => {
    files.rewrite('a', 'old');
    files.opening = { keepCache: true };
    expect(await sh('cat a; cat a')).toBe('oldold');
    expect(files.reads).toBe(1);
    files.rewrite('a', 'new');
    expect(await sh('cat a')).toBe('old');
    await kernel.invalidateInode(files.inodeOf('a'));
    expect(await sh('cat a')).toBe('new');
  });

  it('reads again at each open without keepCache, and at each read with directIo', async () => {
    files.rewrite('a', 'x');
    await sh('cat a; cat a');
    expect(files.reads).toBe(2);
    files.opening = { directIo: true };
    files.reads = 0;
    await sh('dd if=a bs=1 count=1 status=none; exec 3< a; head -c 1 <&3');
    expect(files.reads).toBe(2);
  });

  it('keeps a listing with cacheDirectory, until the directory is invalidated', async () => {
    files.addDirectory('d', 20);
    files.opening = { cacheDirectory: true, keepCache: true };
    await sh('ls d > /dev/null; ls d > /dev/null');
    const first = files.listings;
    expect(await sh('ls d | wc -l')).toBe('20\n');
    expect(files.listings).toBe(first);
    await kernel.invalidateInode(files.inodeOf('d'));
    await sh('ls d');
    expect(files.listings).toBeGreaterThan(first);
  });

  it('asks for attributes again when they are invalidated, and keeps the pages', async () => {
    files.rewrite('a', 'x');
    files.opening = { keepCache: true };
    await sh('cat a; stat a; stat a');
    files.getattrs = files.reads = 0;
    await kernel.invalidateAttributes(files.inodeOf('a'));
    await sh('stat a; cat a');
    expect({ getattrs: files.getattrs, reads: files.reads }).toEqual({ getattrs: 1, reads: 0 });
  });

  it('forgets a name that is invalidated or deleted, and looks it up again', async () => {
    files.rewrite('a', 'x');
    await sh('stat a; stat a');
    expect(files.lookupsAsked).toBe(1);
    await kernel.invalidateEntry(ROOT_INODE, Buffer.from('a'));
    await sh('stat a');
    expect(files.lookupsAsked).toBe(2);
    const inode = files.inodeOf('a');
    files.unlink(ROOT_INODE, Buffer.from('a'));
    await kernel.deleteEntry(ROOT_INODE, inode, Buffer.from('a'));
    expect((await runProgram('stat', [join(folder.mountPoint, 'a')])).code).toBe(1);
  });

  it('forgets many names in one go, also behind one that it never knew', async () => {
    files.rewrite('a', 'x');
    files.rewrite('b', 'x');
    await sh('stat a b; stat a b');
    expect(files.lookupsAsked).toBe(2);
    const names = ['a', 'never', 'b'].map((name) => Buffer.from(name));
    await kernel.invalidateEntries(names.map((name) => ({ parent: ROOT_INODE, name })));
    await sh('stat a b');
    expect(files.lookupsAsked).toBe(4);
  });

  it('serves what was stored without asking', async () => {
    files.rewrite('a', 'xxxx');
    files.opening = { keepCache: true };
    await sh('stat a');
    await kernel.store(
      files.inodeOf('a'),
      0,
      Buffer.from('kept'.padEnd(4096, '\0')).subarray(0, 4),
    );
    expect(await sh('cat a')).toBe('kept');
    expect(files.reads).toBe(0);
  });

  it('takes notifications of what it does not know for done', async () => {
    const unknown = 4711 as InodeNumber;
    await kernel.invalidateInode(unknown);
    await kernel.invalidateEntry(unknown, Buffer.from('a'));
    await kernel.invalidateEntry(ROOT_INODE, Buffer.from('never'));
    await kernel.deleteEntry(ROOT_INODE, unknown, Buffer.from('never'));
    await kernel.store(unknown, 0, Buffer.from('x'));
    expect(await sh('echo alive > b; cat b')).toBe('alive\n');
  });

  it('is told of ten thousand things while it asks for others, and nothing stands still', async () => {
    files.rewrite('a', 'x');
    const inode = files.inodeOf('a');
    const telling = Promise.all(
      Array.from({ length: 10_000 }, (_, at) => kernel.invalidateInode(inode, 4096 * at, 4096)),
    );
    expect(await sh('for i in 1 2 3 4 5; do cat a; done')).toBe('xxxxx');
    await telling;
  });

  describe('with a backing file', () => {
    const content = 'from the backing file';

    it('reads and writes it itself: nothing reaches the file system but open and release', async () => {
      const path = join(folder.path, 'backing');
      await writeFile(path, content);
      await using backing = await open(path, 'r+');
      files.rewrite('a', 'x'.repeat(content.length));
      files.opening = { backing: backing.fd };
      expect(await sh('cat a; cat a')).toBe(content + content);
      await sh('printf WRITTEN | dd of=a conv=notrunc status=none; head -c 7 a');
      expect({ reads: files.reads, writes: files.writes }).toEqual({ reads: 0, writes: 0 });
      expect((await readFile(path, 'utf8')).slice(0, 7)).toBe('WRITTEN');
      expect(files.openHandles).toBe(0);
    });

    it('keeps to the way of the first open until the last is closed', async () => {
      const path = join(folder.path, 'backing');
      await writeFile(path, content);
      await using backing = await open(path, 'r+');
      files.rewrite('a', 'through us'.padEnd(content.length));
      // Opened through us first: an open with a backing file meanwhile goes the same way.
      files.opening = {};
      const first = runProgram('sh', [
        '-ec',
        `cd ${folder.mountPoint}; exec 3< a; touch ../opened; while [ ! -e ../go ]; do sleep 0.05; done; cat <&3; cat a`,
      ]);
      await expect
        .poll(async () => await runProgram('ls', [join(folder.path, 'opened')]))
        .toMatchObject({ code: 0 });
      files.opening = { backing: backing.fd };
      await writeFile(join(folder.path, 'go'), '');
      expect((await first).stdout).toBe('through us'.padEnd(content.length).repeat(2));
      // All closed: the next open may take the backing file, and one without joins it.
      expect(await sh('exec 3< a; cat <&3; cat a')).toBe(content + content);
    });

    it('through us when the kernel refuses the file, without a word to programs', async () => {
      await using directory = await open(folder.path, 'r');
      files.rewrite('a', 'ours');
      // A directory cannot be a backing file.
      files.opening = { backing: directory.fd };
      expect(await sh('cat a')).toBe('ours');
      expect(files.reads).toBeGreaterThan(0);
    });
  });
});
