/** Reading through a real mount: memory, disk, the kernel's own reads, and what `wire cache` does. */
import { createHash } from 'node:crypto';
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import type { MountStatus } from '../../src/daemon/mount.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

const BYTES = 6 * MiB + 12_345;

/** Bytes that differ everywhere. */
function content(seed: number): Buffer {
  const made = Buffer.alloc(BYTES);
  for (let at = 0; at + 4 <= BYTES; at += 4) {
    made.writeUInt32LE(Math.imul(at + seed, 0x9e3779b1) >>> 0, at);
  }
  return made;
}

class ReadingScene {
  readonly scene: Scene;
  readonly #cacheDir: string;

  constructor(scene: Scene) {
    this.scene = scene;
    this.#cacheDir = scene.place('cache');
  }

  /** Puts files into the bucket through a mount of their own. */
  async fill(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
    const { scene } = this;
    const place = scene.place('fill');
    await scene.mount(this.source, place);
    for (const [name, bytes] of Object.entries(files)) {
      await run('mkdir', ['-p', join(place, name, '..')], scene.signal);
      await writeFile(join(place, name), bytes);
    }
    await scene.user.wire(['unmount', place], scene.signal);
  }

  get source(): string {
    return `s3://${this.scene.playground.bucket}/data`;
  }

  async mount(place: string, ...more: readonly string[]): Promise<void> {
    const flags = ['--cache-dir', this.#cacheDir, ...more];
    await this.scene.mount(this.source, place, '--read-only', '--list-ttl', '60s', ...flags);
  }

  async wire(...words: readonly string[]): Promise<string> {
    return (await this.scene.user.wire(words, this.scene.signal)).stdout;
  }

  async reading(place: string): Promise<NonNullable<MountStatus['reading']>> {
    const { mounts } = JSON.parse(await this.wire('status', '--json')) as {
      mounts: readonly MountStatus[];
    };
    const reading = mounts.find(({ mountPoint }) => mountPoint === place)?.reading;
    if (reading === undefined) throw new Error(`no mount at ${place}`);
    return reading;
  }

  /** GETs of objects that the store has answered. */
  get gets(): number {
    return this.scene.playground.s3.counters.requests('GetObject');
  }
}

const scene = async (): Promise<Scene> => {
  const made = await Scene.open();
  await made.login();
  return made;
};

describe.skipIf(!canMount)('reading through a mount', () => {
  it('gives any part of a file as it is in the bucket, in any order', async () => {
    await using made = await scene();
    const reading = new ReadingScene(made);
    const bytes = content(1);
    await reading.fill({ big: bytes });
    const place = made.place('m');
    await reading.mount(place);
    const file = join(place, 'big');
    await using opened = await open(file);
    for (const [at, length] of [
      [BYTES - 10, 100],
      [3 * MiB - 1, 2],
      [0, 4096],
      [128 * 1024 - 1, 300_000],
      [5 * MiB, MiB],
      [4096, MiB],
    ] as const) {
      const room = Buffer.alloc(length);
      const { bytesRead } = await opened.read(room, 0, length, at);
      expect(room.subarray(0, bytesRead).equals(bytes.subarray(at, at + length))).toBe(true);
    }
    expect((await readFile(file)).equals(bytes)).toBe(true);
  });

  it('asks the store for nothing that is on the disk, also after a new mount', async () => {
    await using made = await scene();
    const reading = new ReadingScene(made);
    const files = { 'a/one': content(1), 'a/b/two': content(2), three: Buffer.from('three') };
    await reading.fill(files);
    const place = made.place('m');
    await reading.mount(place, '--cache', 'full');
    expect(await reading.wire('cache', 'warm', place)).toContain('3 files');
    const { gets } = reading;
    expect(gets).toBeGreaterThan(0);
    await reading.wire('unmount', place);

    await reading.mount(place, '--cache', 'full');
    for (const [name, bytes] of Object.entries(files)) {
      expect((await readFile(join(place, name))).equals(bytes)).toBe(true);
    }
    expect(reading.gets).toBe(gets);
    const shown = await reading.wire('cache', 'show', '--cache-dir', made.place('cache'), '--json');
    expect(JSON.parse(shown)).toMatchObject({ objects: 3, pinnedBytes: 0 });

    await reading.wire('unmount', place);
    await reading.wire('cache', 'clear', '--cache-dir', made.place('cache'));
    await reading.mount(place, '--cache', 'full');
    expect((await readFile(join(place, 'three'))).toString()).toBe('three');
    expect(reading.gets).toBeGreaterThan(gets);
  });

  it('pins what shall stay, and says so; refuses where nothing is kept', async () => {
    await using made = await scene();
    const reading = new ReadingScene(made);
    await reading.fill({ 'a/one': content(1), other: content(2) });
    const place = made.place('m');
    await reading.mount(place, '--cache', 'full');
    expect(await reading.wire('cache', 'pin', join(place, 'a'))).toContain('Pinned: 1 file');
    const flags = ['--cache-dir', made.place('cache'), '--json'];
    const pinned = JSON.parse(await reading.wire('cache', 'show', ...flags)) as {
      pinnedBytes: number;
    };
    expect(pinned.pinnedBytes).toBeGreaterThanOrEqual(BYTES);
    await reading.wire('cache', 'unpin', join(place, 'a'));
    expect(JSON.parse(await reading.wire('cache', 'show', ...flags))).toMatchObject({
      pinnedBytes: 0,
    });
    await reading.wire('unmount', place);
    await reading.mount(place, '--cache', 'minimal');
    await expect(reading.wire('cache', 'warm', place)).rejects.toThrow(
      'this mount keeps no content on the local disk',
    );
  });

  it('shows a change at once after a refresh, whatever the TTL', async () => {
    await using made = await scene();
    const reading = new ReadingScene(made);
    await reading.fill({ 'd/f': Buffer.from('old') });
    const place = made.place('m');
    await reading.mount(place);
    const file = join(place, 'd/f');
    expect(await readFile(file, 'utf8')).toBe('old');
    await reading.fill({ 'd/f': Buffer.from('newer'), 'd/g': Buffer.from('g') });
    expect(await readFile(file, 'utf8')).toBe('old');
    await reading.wire('cache', 'refresh', join(place, 'd'));
    expect(await readFile(file, 'utf8')).toBe('newer');
    expect(await readFile(join(place, 'd/g'), 'utf8')).toBe('g');
  });

  it('keeps nothing readable of an encrypted cache, and uses it again', async () => {
    await using made = await scene();
    const reading = new ReadingScene(made);
    const text = Buffer.from('a sentence that nobody shall find on the disk\n'.repeat(5000));
    await reading.fill({ 'secret-name': text });
    const place = made.place('m');
    const flags = ['--cache', 'full', '--cache-encrypt', 'on'];
    await reading.mount(place, ...flags);
    await reading.wire('cache', 'warm', place);
    const { gets } = reading;
    await reading.wire('unmount', place);
    for (const words of ['nobody shall find', 'secret-name']) {
      const found = run('grep', ['-r', words, made.place('cache')], made.signal);
      await expect(found).rejects.toThrow();
    }
    await reading.mount(place, ...flags);
    expect((await readFile(join(place, 'secret-name'))).equals(text)).toBe(true);
    expect(reading.gets).toBe(gets);
  });

  it.runIf(isRoot)(
    'lets the kernel read what others may write, and who writes finds the file',
    async () => {
      await using made = await scene();
      const reading = new ReadingScene(made);
      const bytes = content(4);
      await reading.fill({ big: bytes });
      const place = made.place('m');
      const flags = ['--list-ttl', '60s', '--cache', 'full', '--cache-dir', made.place('cache')];
      await made.mount(reading.source, place, ...flags);
      await reading.wire('cache', 'warm', place);
      const file = join(place, 'big');
      const before = await reading.reading(place);
      await using reader = await open(file);
      expect((await reader.readFile()).equals(bytes)).toBe(true);
      expect(await reading.reading(place)).toEqual(before);

      // The kernel would refuse to open the same inode both ways.
      await using writer = await open(file, 'r+');
      await writer.write(Buffer.from('changed'), 0, 7, 3);
      await writer.sync();
      const changed = Buffer.from(bytes);
      changed.write('changed', 3);
      expect((await readFile(file)).equals(changed)).toBe(true);
      // Who opened it before has what it was then.
      const start = Buffer.alloc(16);
      await reader.read(start, 0, 16, 0);
      expect(start.equals(bytes.subarray(0, 16))).toBe(true);

      await using again = await open(file);
      await truncate(file, 5);
      expect(await readFile(file)).toEqual(changed.subarray(0, 5));
      expect((await again.stat()).size).toBeGreaterThan(0);
      await writeFile(file, 'new');
      expect(await readFile(file, 'utf8')).toBe('new');
    },
  );

  it.runIf(isRoot)('lets the kernel read a file that is whole on the disk', async () => {
    await using made = await scene();
    const reading = new ReadingScene(made);
    const bytes = content(3);
    await reading.fill({ big: bytes });
    const place = made.place('m');
    await reading.mount(place, '--cache', 'full');
    await reading.wire('cache', 'warm', place);
    const file = join(place, 'big');
    const before = await reading.reading(place);
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    expect(digest).toBe(createHash('sha256').update(bytes).digest('hex'));
    const after = await reading.reading(place);
    expect([after.hits, after.misses]).toEqual([before.hits, before.misses]);
    expect((await stat(file)).size).toBe(BYTES);
  });
});
