/** Files that lose their name, or get another, while programs have them open: on a real mount. */
import { createHash } from 'node:crypto';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MiB } from '../../src/lib/bytes.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

const BYTES = 100 * MiB;

/** Bytes that differ everywhere. */
function content(seed: number): Buffer {
  const words = new Uint32Array(BYTES / 4);
  for (let at = 0; at < words.length; at += 1) words[at] = Math.imul(at + seed, 0x9e3779b1);
  return Buffer.from(words.buffer);
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Reads all of an open file, in order. */
async function readAll(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  const room = Buffer.alloc(MiB);
  for (let offset = 0; ; ) {
    const { bytesRead } = await file.read(room, 0, room.length, offset);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(room.subarray(0, bytesRead));
    offset += bytesRead;
  }
}

class OpenFiles implements AsyncDisposable {
  readonly scene: Scene;
  readonly place: string;

  private constructor(scene: Scene) {
    this.scene = scene;
    this.place = scene.place('m');
  }

  /** A mount of a bucket that holds `objects`, none of whose bytes are known here. */
  static async make(objects: Readonly<Record<string, Buffer | string>>): Promise<OpenFiles> {
    const scene = await Scene.open();
    const { foreign } = scene.playground.s3;
    for (const [key, body] of Object.entries(objects)) {
      foreign.putObject(scene.playground.bucket, key, body);
    }
    await scene.login();
    const made = new OpenFiles(scene);
    await scene.mount(`s3://${scene.playground.bucket}`, made.place, '--cache', 'off');
    return made;
  }

  path(name: string): string {
    return join(this.place, name);
  }

  get keys(): readonly string[] {
    const { bucket, s3 } = this.scene.playground;
    return s3.foreign.objects(bucket).map(({ key }) => key);
  }

  /** After the last close the kernel tells of it a moment later: an unmount waits for that. */
  async unmount(): Promise<void> {
    await this.scene.user.wire(['unmount', this.place], this.scene.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scene[Symbol.asyncDispose]();
  }
}

describe.skipIf(!canMount)('a cold file of 100 MiB', () => {
  it('is read whole after it was unlinked while open, and its object goes with its last close', async () => {
    const bytes = content(1);
    await using made = await OpenFiles.make({ 'd/big': bytes, 'd/other': 'other' });
    const file = await open(made.path('d/big'));
    await unlink(made.path('d/big'));
    await expect(open(made.path('d/big'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(made.path('d'))).toEqual(['other']);
    expect((await file.stat()).nlink).toBe(0);
    expect(made.keys).toEqual(['d/big', 'd/other']);
    expect(await readAll(file)).toBe(digestOf(bytes));
    await file.close();
    await made.unmount();
    expect(made.keys).toEqual(['d/other']);
  });

  it('is read whole though a new file has its name by then, which stays', async () => {
    const bytes = content(2);
    await using made = await OpenFiles.make({ 'd/big': bytes });
    const file = await open(made.path('d/big'));
    await unlink(made.path('d/big'));
    await writeFile(made.path('d/big'), 'new');
    expect(await readFile(made.path('d/big'), 'utf8')).toBe('new');
    expect(await readAll(file)).toBe(digestOf(bytes));
    await file.close();
    expect(await readFile(made.path('d/big'), 'utf8')).toBe('new');
    await made.unmount();
    expect(made.keys).toEqual(['d/big']);
  });

  it('is read whole after its directory was removed, and after another file took its place', async () => {
    const [bytes, others] = [content(3), content(4)];
    await using made = await OpenFiles.make({ 'd/big': bytes, config: others });
    const [big, config] = [await open(made.path('d/big')), await open(made.path('config'))];
    await unlink(made.path('d/big'));
    await rmdir(made.path('d'));
    await writeFile(made.path('config.tmp'), 'new');
    await rename(made.path('config.tmp'), made.path('config'));
    expect(made.keys).toEqual(['config']);
    expect([await readAll(big), await readAll(config)]).toEqual([bytes, others].map(digestOf));
    await big.close();
    await config.close();
    expect(await readFile(made.path('config'), 'utf8')).toBe('new');
    await made.unmount();
    expect(made.keys).toEqual(['config']);
  });

  it('is read and written on after it was renamed, and after its directory was', async () => {
    const bytes = content(5);
    await using made = await OpenFiles.make({ 'd/big': bytes, 'd/x': 'x' });
    const file = await open(made.path('d/big'), 'r+');
    await rename(made.path('d/big'), made.path('d/large'));
    expect(await readAll(file)).toBe(digestOf(bytes));
    await rename(made.path('d'), made.path('e'));
    await file.write('changed', 50 * MiB);
    bytes.write('changed', 50 * MiB);
    expect(await readAll(file)).toBe(digestOf(bytes));
    await file.close();
    expect(made.keys).toEqual(['e/large', 'e/x']);
    expect(digestOf(await readFile(made.path('e/large')))).toBe(digestOf(bytes));
  });

  it('is gone with the mount when that ends while it is open', async () => {
    await using made = await OpenFiles.make({ 'd/big': content(6) });
    const { user, signal } = made.scene;
    const file = await open(made.path('d/big'));
    await unlink(made.path('d/big'));
    await user.wire(['unmount', '--force', made.place], signal);
    await file.close().catch(() => undefined);
    // Who served it notices by itself.
    await expect.poll(() => made.keys, { timeout: 20_000 }).toEqual([]);
  });
});

describe.skipIf(!canMount || !isRoot)('after kill -9 of the process that serves a mount', () => {
  it('the next one deletes what was unlinked while open, and nothing else', async () => {
    await using made = await OpenFiles.make({ 'd/gone': 'gone', 'd/stays': 'stays' });
    const { scene, place } = made;
    const files = [await open(made.path('d/gone')), await open(made.path('d/stays'))];
    await unlink(made.path('d/gone'));
    const [pid = 0] = await scene.daemons();
    process.kill(pid, 'SIGKILL');
    await untilEnded(pid, scene.signal);
    for (const file of files) await file.close().catch(() => undefined);
    expect(made.keys).toEqual(['d/gone', 'd/stays']);
    await scene.mount(`s3://${scene.playground.bucket}`, place);
    // Looked after in the background, once the mount is there.
    while (made.keys.includes('d/gone')) {
      scene.signal.throwIfAborted();
      expect(await readFile(made.path('d/stays'), 'utf8')).toBe('stays');
    }
    await made.unmount();
    expect(made.keys).toEqual(['d/stays']);
  });
});

describe.skipIf(!canMount)('a tree', () => {
  it('is removed by rm -r while files in it are open, and made anew at once', async () => {
    await using made = await OpenFiles.make({ 't/a/f': 'f', 't/a/g': 'g', 't/b/h': 'h' });
    const files = [await open(made.path('t/a/f')), await open(made.path('t/b/h'))];
    await rm(made.path('t'), { recursive: true });
    expect(await readdir(made.place)).toEqual([]);
    await mkdir(made.path('t/a'), { recursive: true });
    await writeFile(made.path('t/a/f'), 'anew');
    const read = await Promise.all(files.map(async (file) => await file.readFile('utf8')));
    expect(read).toEqual(['f', 'h']);
    for (const file of files) await file.close();
    expect(await readFile(made.path('t/a/f'), 'utf8')).toBe('anew');
    expect(made.keys).toEqual(['t/', 't/a/', 't/a/f']);
  });
});
