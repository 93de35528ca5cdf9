/** Changes drawn by chance in a folder, and what its files hold after them. */
import { open, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../../src/lib/bytes.ts';
import { patternBytes } from '../fixtures/object-store-contract.ts';
import type { Random } from '../fixtures/random.ts';

export interface Step {
  readonly did: string;
  /** Of the file that was changed, with its new name. */
  readonly path: string;
}

type Change = (path: string, old: Buffer) => Promise<string>;

const paths = ['one', 'two', 'three', 'fo ur', 'fünf'];
/** On both sides of what is kept in memory, of a part, and of what is sent at one go. */
const lengths = [0, 1, 5000, 300_000, 6 * MiB, 12 * MiB];

export class History {
  /** By path below the folder: what was acknowledged. */
  readonly files = new Map<string, Buffer>();
  readonly #folder: string;
  readonly #random: Random;
  readonly #changes: Readonly<Record<string, Change>>;

  constructor(folder: string, random: Random) {
    this.#folder = folder;
    this.#random = random;
    this.#changes = {
      write: async (path) => await this.#write(path),
      change: async (path, old) => await this.#change(path, old),
      'change again': async (path, old) => await this.#change(path, old),
      truncate: async (path, old) => await this.#truncate(path, old),
      move: async (path, old) => await this.#move(path, old),
      remove: async (path) => await this.#remove(path),
    };
  }

  /** One more change; it is acknowledged when this returns. */
  async step(): Promise<Step> {
    const path = this.#random.pick([...paths, ...this.files.keys()]);
    const old = this.files.get(path);
    if (old === undefined) return { did: 'write', path: await this.#write(path) };
    const [did, change] = this.#random.pick(Object.entries(this.#changes));
    return { did, path: await change(path, old) };
  }

  async #write(path: string): Promise<string> {
    const content = this.#content();
    await writeFile(this.#at(path), content);
    this.files.set(path, content);
    return path;
  }

  /** Somewhere inside, beyond the end too. */
  async #change(path: string, old: Buffer): Promise<string> {
    const [more, from] = [this.#content(), this.#random.below(old.length + 10_000)];
    const changed = Buffer.alloc(more.length === 0 ? old.length : from + more.length);
    const whole = changed.length < old.length ? Buffer.from(old) : changed;
    old.copy(whole);
    more.copy(whole, from);
    await using file = await open(this.#at(path), 'r+');
    await file.write(more, 0, more.length, from);
    this.files.set(path, whole);
    return path;
  }

  async #truncate(path: string, old: Buffer): Promise<string> {
    const length = this.#random.below(old.length + 1);
    await truncate(this.#at(path), length);
    this.files.set(path, old.subarray(0, length));
    return path;
  }

  async #move(path: string, old: Buffer): Promise<string> {
    const target = `${path.slice(0, 20)}-moved`;
    await rename(this.#at(path), this.#at(target));
    this.files.delete(path);
    this.files.set(target, old);
    return target;
  }

  async #remove(path: string): Promise<string> {
    await rm(this.#at(path));
    this.files.delete(path);
    return path;
  }

  #at(path: string): string {
    return join(this.#folder, path);
  }

  #content(): Buffer {
    return patternBytes(this.#random.pick(lengths), this.#random.below(1_000_000));
  }
}
