/** Programs that only read: what never changes, and what somebody else replaces. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB } from '../../src/lib/bytes.ts';
import type { Random } from '../../test/fixtures/random.ts';
import { hashOf } from '../crash/content.ts';
import { contentOf, type PlantedFile } from './planted.ts';
import { readRest } from './read-to-end.ts';
import { errnoOf, type WatchedCalls } from './watched-calls.ts';

const PIECES = [4 * KiB, 64 * KiB, 512 * KiB] as const;

export class LoadReader {
  readonly #root: string;
  readonly #random: Random;
  readonly #calls: WatchedCalls;
  readonly #files: readonly PlantedFile[];
  /** Contents of files that never change, made once. */
  readonly #contents = new Map<string, Buffer>();

  constructor(root: string, files: readonly PlantedFile[], random: Random, calls: WatchedCalls) {
    this.#root = root;
    this.#files = files;
    this.#random = random;
    this.#calls = calls;
  }

  /** Errors of the system are noted; others are thrown. */
  async step(): Promise<void> {
    const file = this.#random.pick(this.#files);
    try {
      if (file.changes) await this.#readVersion(file);
      else if (this.#random.below(3) === 0) await this.#readInOrder(file);
      else await this.#readAtRandom(file);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }

  async #readInOrder(file: PlantedFile): Promise<void> {
    const piece = this.#random.pick(PIECES);
    await this.#reading(file, async (readAt) => {
      for (let at = 0; at < file.bytes; at += piece) await readAt(at, piece);
    });
  }

  async #readAtRandom(file: PlantedFile): Promise<void> {
    await this.#reading(file, async (readAt) => {
      for (let times = 0; times < 20; times += 1) {
        await readAt(this.#random.below(file.bytes), 1 + this.#random.below(64 * KiB));
      }
    });
  }

  async #reading(
    file: PlantedFile,
    read: (readAt: (at: number, bytes: number) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const content = this.#contentOf(file);
    const handle = await this.#calls.watch(`open ${file.path}`, async () => {
      return await open(join(this.#root, file.path));
    });
    try {
      await read(async (at, bytes) => {
        const room = Buffer.alloc(bytes);
        const { bytesRead } = await this.#calls.watch(`read ${file.path} at ${at}`, async () => {
          return await handle.read(room, 0, bytes, at);
        });
        this.#calls.bytesRead += bytesRead;
        // An error behind the first pages makes a read short (read(2)); nothing is the end of the file.
        const expected = content.subarray(at, at + Math.min(bytes, bytesRead));
        const isSome = bytesRead > 0 || at >= content.length;
        if (isSome && room.subarray(0, bytesRead).equals(expected)) return;
        this.#calls.wrong.push(`read ${file.path} at ${at}: ${bytesRead} bytes, and not its own`);
      });
    } finally {
      await handle.close().catch(() => undefined); // of a mount that is gone
    }
  }

  /** All that one handle reads is of one version. */
  async #readVersion(file: PlantedFile): Promise<void> {
    const handle = await this.#calls.watch(`open ${file.path}`, async () => {
      return await open(join(this.#root, file.path));
    });
    try {
      const read = await this.#calls.watch(`read ${file.path}`, async () => await readRest(handle));
      this.#calls.bytesRead += read.length;
      const version = Number(/ \d+\.(\d+) /.exec(read.toString('latin1', 8, 64))?.[1]);
      const whole = contentOf({ ...file, version });
      // How long it is the handle knew at its opening.
      if (Number.isInteger(version) && hashOf(read) === hashOf(whole)) return;
      this.#calls.wrong.push(`read ${file.path}: ${read.length} bytes, of no one version`);
    } finally {
      await handle.close().catch(() => undefined);
    }
  }

  #contentOf(file: PlantedFile): Buffer {
    const known = this.#contents.get(file.path);
    if (known !== undefined) return known;
    const content = contentOf(file);
    this.#contents.set(file.path, content);
    return content;
  }
}
