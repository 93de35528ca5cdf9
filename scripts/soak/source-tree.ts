/** A tree of files on the local disk that programs copy, and that changes between two copies. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { KiB, MiB } from '../../src/lib/bytes.ts';
import type { Random } from '../../test/fixtures/random.ts';
import { madeOf } from '../crash/content.ts';

const FOLDERS = 40;
const LONG_BYTES = 20 * MiB;
/** Of a file of the mirror, in a thousand, between two passes. */
const CHANGED = 20;

export class SourceTree {
  readonly folder: string;
  readonly #random: Random;
  #made = 0;

  constructor(folder: string, random: Random) {
    this.folder = folder;
    this.#random = random;
  }

  get files(): number {
    return this.#made;
  }

  async fill(files: number): Promise<void> {
    for (let nth = 0; nth < FOLDERS; nth += 1) {
      await mkdir(join(this.folder, `d${nth}`, 'inner'), { recursive: true });
    }
    for (let nth = 0; nth < files; nth += 1) await this.#write(this.#newPath(), this.#size());
    await this.#write('long', LONG_BYTES);
  }

  /** Some files change, some come, some go. */
  async change(): Promise<void> {
    const paths = (await filesBelow(this.folder)).filter((path) => path !== 'long');
    for (const path of paths) {
      const drawn = this.#random.below(1000);
      if (drawn < CHANGED / 4) await rm(join(this.folder, path));
      else if (drawn < CHANGED / 2) await this.#write(this.#newPath(), this.#size());
      else if (drawn < CHANGED) await this.#write(path, this.#size());
    }
  }

  async #write(path: string, bytes: number): Promise<void> {
    this.#made += 1;
    await writeFile(join(this.folder, path), madeOf(bytes, 1, this.#made));
  }

  #newPath(): string {
    const folder = `d${this.#random.below(FOLDERS)}`;
    const inner = this.#random.below(3) === 0 ? 'inner' : '';
    return join(folder, inner, `f${this.#made}`);
  }

  #size(): number {
    return this.#random.below(30) === 0 ? this.#random.below(MiB) : this.#random.below(12 * KiB);
  }
}

/** Their paths from `folder`. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) =>
    entry.isDirectory() ? [] : [relative(folder, join(entry.parentPath, entry.name))],
  );
}

/** SHA-256 by path. */
export async function hashesBelow(folder: string): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  for (const path of await filesBelow(folder)) {
    hashes.set(path, sha256(await readFile(join(folder, path))));
  }
  return hashes;
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
