/**
 * A program that goes on whatever fails: it writes, patches, renames and removes files of its own,
 * reads them back, and knows of each what it can be.
 */
import { type FileHandle, mkdir, open, readdir, rename, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB, MiB } from '../../src/lib/bytes.ts';
import type { Random } from '../../test/fixtures/random.ts';
import { drawnSize, madeOf, versionOf } from '../crash/content.ts';
import type { Directory, Present } from '../crash/truth.ts';
import { Beliefs, canBe, inWords } from './beliefs.ts';
import { readToEnd } from './read-to-end.ts';
import { errnoOf, isDead, type WatchedCalls } from './watched-calls.ts';

const LARGE_BYTES = 18 * MiB;
/** Enough to choose from, and few enough to look at all of them in the end. */
const FEWEST_FILES = 4;
const MOST_FILES = 40;
const directory: Directory = { kind: 'directory' };
const empty = Buffer.alloc(0);

/** One opening of a file: what it holds for those who read it, and what may be kept of it. */
interface Session {
  readonly path: string;
  readonly file: FileHandle;
  readonly content: GrowingContent;
  /** What of it may be in the bucket, though no close says so. */
  readonly possible: Present[];
}

export class LoadWriter {
  readonly beliefs: Beliefs = new Beliefs();
  readonly #root: string;
  readonly #nth: number;
  readonly #random: Random;
  readonly #calls: WatchedCalls;
  readonly #contents = new Map<string, Buffer>();
  /** Paths whose last write failed: to be written anew. */
  readonly #toRepair = new Set<string>();
  /** Changes in place may be half there after a crash. */
  readonly #writesBack: boolean;
  #version = 0;

  /** Its folder `w<nth>` is there. */
  constructor(root: string, nth: number, writesBack: boolean, random: Random, calls: WatchedCalls) {
    this.#root = root;
    this.#nth = nth;
    this.#writesBack = writesBack;
    this.#random = random;
    this.#calls = calls;
    this.beliefs.know(this.#folder, directory);
  }

  /** One thing that a program does. Errors of the system are noted; others are thrown. */
  async step(): Promise<void> {
    try {
      await this.#drawn()();
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }

  /**
   * Everything is well again: whether a file can be written and read.
   *
   * @returns what failed.
   */
  async finish(): Promise<string | undefined> {
    try {
      for (const path of [this.#newPath(), ...this.#toRepair]) {
        await this.#write(path, 'w');
        await this.#readBack(path);
      }
      return undefined;
    } catch (error) {
      const why = errnoOf(error) ?? String(error);
      return `though all is well: ${this.#calls.lastRefused}: ${why}`;
    }
  }

  get #folder(): string {
    return `w${this.#nth}`;
  }

  #drawn(): () => Promise<void> {
    const files = this.beliefs.files;
    const pick = (): string => this.#random.pick(files);
    const repairs = [...this.#toRepair];
    if (repairs.length > 0 && this.#random.below(3) === 0) {
      return async () => await this.#write(this.#random.pick(repairs), 'w');
    }
    const make = async (): Promise<void> => await this.#write(this.#newPath(), 'wx');
    if (files.length < FEWEST_FILES) return make;
    if (files.length > MOST_FILES) return async () => await this.#unlink(pick());
    const steps: readonly (readonly [weight: number, step: () => Promise<void>])[] = [
      [25, make],
      [10, async () => await this.#write(pick(), 'w')],
      [8, async () => await this.#append(pick())],
      [12, async () => await this.#patch(pick())],
      [5, async () => await this.#truncate(pick())],
      [8, async () => await this.#rename(pick(), this.#newPath())],
      [6, async () => await this.#rename(pick(), pick())],
      [8, async () => await this.#unlink(pick())],
      [4, async () => await this.#mkdir()],
      [3, async () => await this.#moveDirectory()],
      [25, async () => await this.#readBack(pick())],
      [6, async () => await this.#list()],
    ];
    const weighted = steps.flatMap(([weight, step]) => Array.from({ length: weight }, () => step));
    return this.#random.pick(weighted);
  }

  // ---- content

  async #write(path: string, flags: 'w' | 'wx'): Promise<void> {
    await this.#session(path, flags, empty, async (session) => {
      const bytes = drawnSize(this.#random, LARGE_BYTES);
      const content = this.#made(bytes);
      const piece = this.#random.pick([4 * KiB, 128 * KiB, MiB]);
      const syncAfter = this.#random.below(8) === 0 ? Math.floor(bytes / 2) : Infinity;
      for (let at = 0; at < bytes; at += piece) {
        await this.#put(session, content.subarray(at, at + piece), session.content.length);
        if (at >= syncAfter && at - piece < syncAfter) await this.#sync(session);
      }
    });
    this.#toRepair.delete(path);
  }

  async #append(path: string): Promise<void> {
    await this.#session(path, 'a', this.#contentOf(path), async (session) => {
      const more = this.#made(this.#random.below(64 * KiB) + 1);
      await this.#put(session, more, session.content.length);
    });
  }

  async #patch(path: string): Promise<void> {
    await this.#session(path, 'r+', this.#contentOf(path), async (session) => {
      for (let times = this.#random.below(3); times >= 0; times -= 1) {
        const { length } = session.content;
        const at = this.#random.below(length + 1);
        const piece = this.#made(Math.min(length - at, this.#random.below(8 * KiB)));
        await this.#put(session, piece, at);
        if (this.#random.below(3) === 0) await this.#sync(session);
      }
    });
  }

  /** Opens, changes and closes; when all of it was acknowledged, the content is known. */
  async #session(
    path: string,
    flags: string,
    opened: Buffer,
    change: (session: Session) => Promise<void>,
  ): Promise<void> {
    const possible: Present[] = flags === 'w' || flags === 'wx' ? [versionOf(empty, false)] : [];
    let session: Session | undefined;
    try {
      const file = await this.#calls.watch(`open ${path} (${flags})`, async () => {
        return await open(join(this.#root, path), flags);
      });
      session = { path, file, content: new GrowingContent(opened), possible };
      await change(session);
    } catch (error) {
      // What a program has written is saved when it closes, also after an error.
      await session?.file.close().catch(() => undefined);
      if (session !== undefined) possible.push(versionOf(session.content.bytes, false));
      this.#doubt(path, possible, error);
      throw error;
    }
    await this.#close(session);
  }

  async #close(session: Session): Promise<void> {
    const { path, file, content, possible } = session;
    try {
      await this.#calls.watch(`close ${path}`, async () => await file.close());
    } catch (error) {
      this.#doubt(path, [...possible, versionOf(content.bytes, false)], error);
      throw error;
    }
    this.#know(path, content.bytes);
  }

  async #put(session: Session, bytes: Buffer, at: number): Promise<void> {
    const { path, file, content, possible } = session;
    try {
      await this.#calls.watch(`write ${path}`, async () => {
        for (let done = 0; done < bytes.length; ) {
          const left = bytes.length - done;
          const { bytesWritten } = await file.write(bytes, done, left, at + done);
          content.put(bytes.subarray(done, done + bytesWritten), at + done);
          done += bytesWritten;
        }
      });
    } catch (error) {
      possible.push(versionOf(content.bytes, false));
      content.put(bytes, at);
      throw error;
    }
  }

  async #sync(session: Session): Promise<void> {
    const content = session.content.copy();
    try {
      await this.#calls.watch(`fsync ${session.path}`, async () => await session.file.sync());
    } catch (error) {
      session.possible.push(versionOf(content, false));
      throw error;
    }
    this.#know(session.path, content);
    session.possible.length = 0;
  }

  async #truncate(path: string): Promise<void> {
    const before = this.#contentOf(path);
    const after = Buffer.alloc(this.#random.below(before.length * 2 + 1));
    before.copy(after);
    try {
      await this.#calls.watch(`truncate ${path} to ${after.length}`, async () => {
        await truncate(join(this.#root, path), after.length);
      });
    } catch (error) {
      this.#doubt(path, [versionOf(after, false)], error);
      throw error;
    }
    this.#know(path, after);
  }

  #know(path: string, content: Buffer): void {
    this.beliefs.know(path, versionOf(content, false));
    this.#contents.set(path, content);
    this.#calls.bytesWritten += content.length;
  }

  #doubt(path: string, possible: readonly Present[], error: unknown): void {
    const wasThere = this.#contents.has(path);
    const isHalf = isDead(error) && this.#writesBack && wasThere;
    this.beliefs.doubt(path, isHalf ? 'anything' : possible);
    // All that may be there is what an fsync has left.
    if (this.beliefs.isSure(path)) return;
    this.#contents.delete(path);
    this.#toRepair.add(path);
  }

  async #readBack(path: string): Promise<void> {
    const all = this.beliefs.at(path);
    const found = await this.#calls.watch(`read ${path}`, async () => {
      return await readToEnd(join(this.#root, path)).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      });
    });
    const present = found === undefined ? null : versionOf(found, false);
    this.#calls.bytesRead += found?.length ?? 0;
    if (canBe(all, present)) return;
    const expected = all === 'anything' ? all : all.map(inWords).join(' or ');
    this.#calls.wrong.push(`read ${path}: ${inWords(present)}, not ${expected}`);
  }

  // ---- names

  async #rename(from: string, to: string): Promise<void> {
    if (from === to) return;
    try {
      await this.#calls.watch(`rename ${from} to ${to}`, async () => {
        await rename(join(this.#root, from), join(this.#root, to));
      });
    } catch (error) {
      this.beliefs.doubtMove(from, to);
      for (const path of [from, to]) this.#contents.delete(path);
      throw error;
    }
    this.#moved(from, to);
  }

  #moved(from: string, to: string): void {
    const [present = null] = this.beliefs.at(from) as readonly Present[];
    const content = this.#contents.get(from);
    this.beliefs.know(to, present);
    this.beliefs.know(from, null);
    this.#contents.delete(from);
    if (content !== undefined) this.#contents.set(to, content);
  }

  async #unlink(path: string): Promise<void> {
    this.#contents.delete(path);
    try {
      await this.#calls.watch(`unlink ${path}`, async () => await unlink(join(this.#root, path)));
    } catch (error) {
      this.beliefs.doubt(path, [null]);
      throw error;
    }
    this.beliefs.know(path, null);
  }

  async #mkdir(): Promise<void> {
    const path = `${this.#folder}/d${this.#nextNumber()}`;
    try {
      await this.#calls.watch(`mkdir ${path}`, async () => await mkdir(join(this.#root, path)));
    } catch (error) {
      this.beliefs.doubt(path, [directory]);
      throw error;
    }
    this.beliefs.know(path, directory);
  }

  async #moveDirectory(): Promise<void> {
    const from = this.#random.pick(this.beliefs.directories);
    if (from === this.#folder || !this.beliefs.isSure(from)) return;
    const to = `${this.#folder}/d${this.#nextNumber()}`;
    const inside = [from, ...this.beliefs.below(from)];
    const toOf = (path: string): string => to + path.slice(from.length);
    try {
      await this.#calls.watch(`rename the directory ${from} to ${to}`, async () => {
        await rename(join(this.#root, from), join(this.#root, to));
      });
    } catch (error) {
      for (const path of inside) {
        this.beliefs.doubtMove(path, toOf(path));
        this.#contents.delete(path);
      }
      throw error;
    }
    for (const path of inside) this.#moved(path, toOf(path));
  }

  /** What is surely there is listed, and what surely is not, is not. */
  async #list(): Promise<void> {
    const folder = this.#random.pick(this.beliefs.directories);
    const names = await this.#calls.watch(`list ${folder}`, async () => {
      return await readdir(join(this.#root, folder));
    });
    for (const path of this.beliefs.below(folder)) {
      const name = path.slice(folder.length + 1);
      const all = this.beliefs.at(path);
      if (name.includes('/') || all === 'anything' || all.length !== 1) continue;
      if (names.includes(name) === (all[0] !== null)) continue;
      this.#calls.wrong.push(`list ${folder}: ${name} should be ${inWords(all[0] ?? null)}`);
    }
  }

  // ---- choices

  #contentOf(path: string): Buffer {
    return this.#contents.get(path) ?? empty;
  }

  #newPath(): string {
    const folders = this.beliefs.directories.filter((path) => this.beliefs.isSure(path));
    return `${this.#random.pick([this.#folder, ...folders])}/f${this.#nextNumber()}`;
  }

  #made(bytes: number): Buffer {
    return madeOf(bytes, this.#nth, this.#nextNumber());
  }

  #nextNumber(): number {
    this.#version += 1;
    return this.#version;
  }
}

/** What one handle has written, and what was there before. */
class GrowingContent {
  #room: Buffer;
  #length: number;

  constructor(opened: Buffer) {
    this.#room = Buffer.from(opened);
    this.#length = opened.length;
  }

  get length(): number {
    return this.#length;
  }

  /** Not a copy. */
  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  copy(): Buffer {
    return Buffer.from(this.bytes);
  }

  put(bytes: Buffer, at: number): void {
    const end = Math.max(this.#length, at + bytes.length);
    if (end > this.#room.length) {
      const room = Buffer.alloc(2 * end);
      this.bytes.copy(room);
      this.#room = room;
    }
    bytes.copy(this.#room, at);
    this.#length = end;
  }
}
