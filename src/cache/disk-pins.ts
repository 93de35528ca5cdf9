/** What of an identity is never evicted: kept in its folder, so that every process knows. */
import { randomBytes } from 'node:crypto';
import { constants, lstatSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectIdentity } from './block-disk.ts';
import { codeOf } from './disk-files.ts';
import type { DiskSeal } from './disk-seal.ts';

/** Object versions: all for which everything that is given holds. */
export interface CacheFilter {
  readonly endpoint?: string;
  readonly bucket?: string;
  /** Keys that begin so. */
  readonly prefix?: string;
  readonly key?: string;
  readonly etag?: string;
}

/** Sets what stays on the disk; returns how many objects that are there match. */
export interface BlockPins {
  pin(filter: CacheFilter, signal: AbortSignal): Promise<number>;
  unpin(filter: CacheFilter, signal: AbortSignal): Promise<number>;
}

const FIELDS = ['endpoint', 'bucket', 'prefix', 'key', 'etag'] as const;

export function matches(filter: CacheFilter, object: ObjectIdentity): boolean {
  const { endpoint, bucket, prefix, key, etag } = filter;
  return (
    (endpoint === undefined || endpoint === object.endpoint) &&
    (bucket === undefined || bucket === object.bucket) &&
    (prefix === undefined || object.key.startsWith(prefix)) &&
    (key === undefined || key === object.key) &&
    (etag === undefined || etag === object.etag)
  );
}

export class DiskPins {
  readonly #path: string;
  readonly #seal: DiskSeal;
  #pins: readonly CacheFilter[] = [];
  /** Which file `#pins` was read from. */
  #version = '';

  /** `folder` is the identity's. */
  constructor(folder: string, seal: DiskSeal) {
    this.#path = join(folder, 'pins');
    this.#seal = seal;
  }

  /** By what was last read. */
  isPinned(object: ObjectIdentity): boolean {
    return this.#pins.some((pin) => matches(pin, object));
  }

  /** Reads what another process may have changed. */
  async refresh(): Promise<readonly CacheFilter[]> {
    const facts = lstatSync(this.#path, { throwIfNoEntry: false });
    const version = facts === undefined ? '' : `${facts.ino} ${facts.mtimeMs} ${facts.size}`;
    if (version === this.#version) return this.#pins;
    this.#pins = facts === undefined ? [] : await this.#read();
    this.#version = version;
    return this.#pins;
  }

  /** Under a lock that all who add and remove take. */
  async add(filter: CacheFilter): Promise<void> {
    const pins = await this.refresh();
    const pin = onlyFields(filter);
    if (!pins.some((known) => isSame(known, pin))) await this.#write([...pins, pin]);
  }

  /** Takes away the pins that speak of nothing but what `filter` does; under that lock. */
  async remove(filter: CacheFilter): Promise<void> {
    const pins = await this.refresh();
    const left = pins.filter((pin) => !isWithin(pin, filter));
    if (left.length < pins.length) await this.#write(left);
  }

  /** A file that is not ours, or broken, pins nothing. */
  async #read(): Promise<readonly CacheFilter[]> {
    try {
      await using file = await open(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW);
      const text = this.#seal.unsealText(await file.readFile());
      const pins: unknown = JSON.parse(text ?? '[]');
      return Array.isArray(pins) ? pins.map(onlyFields) : [];
    } catch (error) {
      if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Whole or not at all, also when this process ends in between. */
  async #write(pins: readonly CacheFilter[]): Promise<void> {
    const path = `${this.#path}.${randomBytes(8).toString('hex')}`;
    {
      await using file = await open(path, 'wx', 0o600);
      await file.writeFile(this.#seal.sealText(JSON.stringify(pins)));
    }
    await rename(path, this.#path);
    await this.refresh();
  }
}

function onlyFields(value: unknown): CacheFilter {
  const found: Record<string, string> = {};
  if (typeof value !== 'object' || value === null) return found;
  const given = value as Readonly<Record<string, unknown>>;
  for (const field of FIELDS) {
    const text = given[field];
    if (typeof text === 'string') found[field] = text;
  }
  return found;
}

function isSame(one: CacheFilter, other: CacheFilter): boolean {
  return FIELDS.every((field) => one[field] === other[field]);
}

function isWithin(pin: CacheFilter, filter: CacheFilter): boolean {
  return FIELDS.every((field) => {
    const wanted = filter[field];
    if (wanted === undefined) return true;
    if (field !== 'prefix') return pin[field] === wanted;
    return (pin.prefix ?? pin.key ?? '').startsWith(wanted);
  });
}
