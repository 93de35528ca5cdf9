/**
 * One program under load: it creates, rewrites, appends, patches, truncates, renames and unlinks
 * its own files, one call after the other, and notes what was acknowledged, in its own memory.
 */
import { type FileHandle, mkdir, open, rename, rmdir, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB, MiB } from '../../src/lib/bytes.ts';
import type { Random } from '../../test/fixtures/random.ts';
import { drawnSize, madeOf, versionOf } from './content.ts';
import type { Changes, Directory, Pending, Present, Truth, Version } from './truth.ts';

const LARGE_BYTES = 20 * MiB;
const directory: Directory = { kind: 'directory' };

type Outcomes = Pending['outcomes'];

export class Writer {
  /** Calls that were acknowledged. */
  acknowledged = 0;
  /** The last call that matters, for people. */
  doing = 'nothing';
  /** Bytes of files when they were. */
  bytes = 0;
  readonly #root: string;
  readonly #nth: number;
  readonly #random: Random;
  readonly #present = new Map<string, Version | Directory>();
  readonly #contents = new Map<string, Buffer>();
  readonly #gone = new Set<string>();
  #pending: Pending | undefined;
  #version = 0;

  /** Its folder is `w<nth>`, which is there. */
  constructor(root: string, nth: number, random: Random) {
    this.#root = root;
    this.#nth = nth;
    this.#random = random;
  }

  get truth(): Truth {
    return {
      present: Object.fromEntries(this.#present),
      gone: [...this.#gone],
      ...(this.#pending !== undefined && { pending: this.#pending }),
    };
  }

  /** @throws the error of the system call that failed. */
  async step(): Promise<void> {
    const files = [...this.#contents.keys()];
    const steps: Readonly<Record<string, readonly [weight: number, () => Promise<void>]>> = {
      create: [30, async () => await this.#create(this.#newPath())],
      rewrite: [10, async () => await this.#rewrite(this.#random.pick(files))],
      append: [8, async () => await this.#append(this.#random.pick(files))],
      patch: [12, async () => await this.#patch(this.#random.pick(files))],
      truncate: [4, async () => await this.#truncate(this.#random.pick(files))],
      rename: [8, async () => await this.#rename(this.#random.pick(files), this.#newPath())],
      replace: [
        8,
        async () => await this.#rename(this.#random.pick(files), this.#random.pick(files)),
      ],
      saveByRename: [6, async () => await this.#saveByRename(this.#random.pick(files))],
      unlink: [8, async () => await this.#unlink(this.#random.pick(files))],
      unlinkOpen: [3, async () => await this.#unlinkOpen(this.#random.pick(files))],
      mkdir: [4, async () => await this.#mkdir()],
      rmdir: [2, async () => await this.#rmdir()],
      move: [3, async () => await this.#moveDirectory()],
    };
    const onFiles = files.length > 3;
    const possible = Object.entries(steps).filter(([name]) => onFiles || name === 'create');
    const weighted = possible.flatMap(([, [weight, step]]) =>
      Array.from({ length: weight }, () => step),
    );
    await this.#random.pick(weighted)();
  }

  // ---- files

  async #create(path: string): Promise<void> {
    await this.#session('create', path, 'wx', Buffer.alloc(0), async (file) => {
      return await this.#writeAll(file, path, drawnSize(this.#random, LARGE_BYTES));
    });
  }

  async #rewrite(path: string): Promise<void> {
    await this.#session('rewrite', path, 'w', Buffer.alloc(0), async (file) => {
      return await this.#writeAll(file, path, drawnSize(this.#random, LARGE_BYTES));
    });
  }

  async #append(path: string): Promise<void> {
    const before = this.#contentOf(path);
    await this.#session('append to', path, 'a', before, async (file) => {
      const more = this.#made(this.#random.below(64 * KiB) + 1);
      await writeWhole(file, more, undefined);
      return Buffer.concat([before, more]);
    });
  }

  async #patch(path: string): Promise<void> {
    const before = this.#contentOf(path);
    await this.#session('patch', path, 'r+', before, async (file) => {
      const after = Buffer.from(before);
      for (let times = this.#random.below(3); times >= 0; times -= 1) {
        const at = this.#random.below(before.length + 1);
        const piece = this.#made(Math.min(before.length - at, this.#random.below(8 * KiB)));
        await writeWhole(file, piece, at);
        piece.copy(after, at);
        if (this.#random.below(3) === 0) await this.#fsync('patch', path, file, after);
      }
      return after;
    });
  }

  /** Opens, changes, now and then fsyncs, and closes: then it is acknowledged. */
  async #session(
    what: string,
    path: string,
    flags: string,
    opened: Buffer,
    change: (file: FileHandle) => Promise<Buffer>,
  ): Promise<void> {
    // A truncating open says nothing of when that is in the bucket.
    const emptied = flags === 'w' ? { [path]: versionOf(opened, false) } : undefined;
    this.#pending = { what: `open ${path}`, outcomes: emptied ? [{ changes: emptied }] : [] };
    const file = await open(join(this.#root, path), flags);
    let after = opened;
    try {
      this.#pending = { what: `${what} ${path}`, outcomes: this.#pending.outcomes };
      after = await change(file);
      if (this.#random.below(4) === 0) await this.#fsync(what, path, file, after);
    } catch (error) {
      await file.close().catch(() => undefined); // the first error is told
      throw error;
    }
    const known = this.#present.get(path);
    const version = versionOf(after, false);
    const isSynced = known?.kind === 'file' && known.hash === version.hash && known.synced;
    const changes = { [path]: { ...version, synced: isSynced } };
    await this.#acknowledge(
      `close ${path} after ${what}`,
      [...this.#possible, { changes }],
      async () => await file.close(),
    );
    this.#contents.set(path, after);
    this.bytes += after.length;
  }

  async #fsync(what: string, path: string, file: FileHandle, content: Buffer): Promise<void> {
    const changes = { [path]: versionOf(content, true) };
    await this.#acknowledge(
      `fsync ${path} in ${what}`,
      [...this.#possible, { changes }],
      async () => await file.sync(),
    );
    this.#contents.set(path, Buffer.from(content));
    this.bytes += content.length;
  }

  /** In pieces, as programs do, with an fsync in the middle now and then. */
  async #writeAll(file: FileHandle, path: string, bytes: number): Promise<Buffer> {
    const content = this.#made(bytes);
    const piece = this.#random.pick([4 * KiB, 128 * KiB, MiB]);
    const syncAfter = this.#random.below(8) === 0 ? Math.floor(bytes / 2) : Infinity;
    let synced = false;
    for (let at = 0; at < bytes; at += piece) {
      await writeWhole(file, content.subarray(at, at + piece), undefined);
      if (synced || at < syncAfter) continue;
      synced = true;
      await this.#fsync('write', path, file, content.subarray(0, Math.min(bytes, at + piece)));
    }
    return content;
  }

  async #truncate(path: string): Promise<void> {
    const before = this.#contentOf(path);
    const bytes = this.#random.below(before.length * 2 + 1);
    const after = Buffer.alloc(bytes);
    before.copy(after);
    const changes = { [path]: versionOf(after, false) };
    await this.#acknowledge(
      `truncate ${path} to ${bytes}`,
      [{ changes }],
      async () => await truncate(join(this.#root, path), bytes),
    );
    this.#contents.set(path, after);
  }

  // ---- names

  async #rename(from: string, to: string): Promise<void> {
    const moved = this.#present.get(from);
    if (from === to || moved?.kind !== 'file') return;
    const version = { ...moved, synced: false };
    await this.#acknowledge(
      `rename ${from} to ${to}`,
      [
        // The store can only copy and delete.
        { changes: { [to]: version }, half: true },
        { changes: { [to]: version, [from]: null } },
      ],
      async () => await rename(join(this.#root, from), join(this.#root, to)),
    );
    this.#contents.set(to, this.#contentOf(from));
    this.#contents.delete(from);
  }

  /** As editors do: a new file under another name, which then takes the place. */
  async #saveByRename(path: string): Promise<void> {
    const beside = `${path}~`;
    if (this.#present.has(beside)) return;
    await this.#create(beside);
    await this.#rename(beside, path);
  }

  async #unlink(path: string): Promise<void> {
    await this.#acknowledge(
      `unlink ${path}`,
      [{ changes: { [path]: null } }],
      async () => await unlink(join(this.#root, path)),
    );
    this.#contents.delete(path);
  }

  async #unlinkOpen(path: string): Promise<void> {
    const file = await open(join(this.#root, path), 'r+');
    try {
      await this.#unlink(path);
      this.doing = `write to ${path}, which was unlinked`;
      await writeWhole(file, this.#made(100), 0);
    } finally {
      await file.close().catch(ignoreDead);
    }
  }

  async #mkdir(): Promise<void> {
    const path = `w${this.#nth}/d${this.#nextNumber()}`;
    await this.#acknowledge(
      `mkdir ${path}`,
      [{ changes: { [path]: directory } }],
      async () => await mkdir(join(this.#root, path)),
    );
  }

  async #rmdir(): Promise<void> {
    const empty = this.#directories().filter((path) => this.#below(path).length === 0);
    if (empty.length === 0) return;
    const path = this.#random.pick(empty);
    await this.#acknowledge(
      `rmdir ${path}`,
      [{ changes: { [path]: null } }],
      async () => await rmdir(join(this.#root, path)),
    );
  }

  async #moveDirectory(): Promise<void> {
    const directories = this.#directories();
    if (directories.length === 0) return;
    const from = this.#random.pick(directories);
    const to = `w${this.#nth}/d${this.#nextNumber()}`;
    const inside = [from, ...this.#below(from)];
    const moved = Object.fromEntries(
      inside.map((path): [string, Present] => {
        const present = this.#present.get(path) ?? null;
        const version = present?.kind === 'file' ? { ...present, synced: false } : present;
        return [to + path.slice(from.length), version];
      }),
    );
    const left = Object.fromEntries(inside.map((path) => [path, null]));
    await this.#acknowledge(
      `rename of the directory ${from} with ${inside.length - 1} files to ${to}`,
      [{ changes: { ...moved, ...left } }],
      async () => await rename(join(this.#root, from), join(this.#root, to)),
    );
    for (const path of inside) {
      const content = this.#contents.get(path);
      if (content === undefined) continue;
      this.#contents.set(to + path.slice(from.length), content);
      this.#contents.delete(path);
    }
  }

  // ---- what is known

  /** Does `call`; when it returns, the last of `outcomes` is true. */
  async #acknowledge(what: string, outcomes: Outcomes, call: () => Promise<void>): Promise<void> {
    this.doing = what;
    this.#pending = { what, outcomes };
    await call();
    this.#pending = undefined;
    this.acknowledged += 1;
    this.#apply(outcomes.at(-1)?.changes ?? {});
  }

  #apply(changes: Changes): void {
    for (const [path, present] of Object.entries(changes)) {
      if (present === null) {
        this.#present.delete(path);
        this.#gone.add(path);
      } else {
        this.#present.set(path, present);
        this.#gone.delete(path);
      }
    }
  }

  /** What may be there already of what nobody has acknowledged yet. */
  get #possible(): Outcomes {
    return this.#pending?.outcomes ?? [];
  }

  #contentOf(path: string): Buffer {
    return this.#contents.get(path) ?? Buffer.alloc(0);
  }

  #directories(): string[] {
    return [...this.#present].filter(([, { kind }]) => kind === 'directory').map(([path]) => path);
  }

  #below(path: string): string[] {
    return [...this.#present.keys()].filter((each) => each.startsWith(`${path}/`));
  }

  #newPath(): string {
    const folders = [`w${this.#nth}`, 'shared', ...this.#directories()];
    return `${this.#random.pick(folders)}/w${this.#nth}-f${this.#nextNumber()}`;
  }

  #made(bytes: number): Buffer {
    return madeOf(bytes, this.#nth, this.#nextNumber());
  }

  #nextNumber(): number {
    this.#version += 1;
    return this.#version;
  }
}

/** @throws Error when the file system took less. */
async function writeWhole(
  file: FileHandle,
  bytes: Buffer,
  position: number | undefined,
): Promise<void> {
  let at = 0;
  while (at < bytes.length) {
    const place = position === undefined ? null : position + at;
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, place);
    at += bytesWritten;
  }
}

/** What a call says when the file system under it is gone. */
const DEAD: readonly unknown[] = ['ENOTCONN', 'ECONNABORTED', 'ECONNRESET'];

export function isDead(error: unknown): boolean {
  return error instanceof Error && 'code' in error && DEAD.includes(error.code);
}

function ignoreDead(error: unknown): void {
  if (!isDead(error)) throw error;
}
