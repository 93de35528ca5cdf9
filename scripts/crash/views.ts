/** What is there after a crash: in the bucket, by a client of its own, and through a mount. */
import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import {
  type _Object,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  NoSuchKey,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import type { BenchStore } from '../../bench/stores/bench-store.ts';
import { entriesBelow } from '../entries-below.ts';
import { versionOf } from './content.ts';
import type { Directory, Found, Version } from './truth.ts';

/** Objects read at once. */
const READS = 8;
const directory: Directory = { kind: 'directory' };

/** Who asks, and where. */
export type LookedAt = Pick<BenchStore, 'client' | 'bucket'>;

/** One folder of a bucket, looked at again and again. */
export class BucketView {
  readonly #store: LookedAt;
  readonly #prefix: string;
  /** By key and ETag: what has been read is not read again. */
  readonly #read = new Map<string, Version>();

  /** `prefix` ends in '/'. */
  constructor(store: LookedAt, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  /** By path below the prefix. */
  async look(signal: AbortSignal): Promise<Found> {
    const found = new Map<string, Version | Directory>();
    const waiting = (await this.#list(signal)).values();
    const readRest = async (): Promise<void> => {
      for (const object of waiting) {
        const path = (object.Key ?? '').slice(this.#prefix.length);
        addFoldersOf(path, found);
        if (path.endsWith('/') || path === '') continue;
        const version = await this.#versionOf(object, signal);
        if (version !== undefined) found.set(path, version);
      }
    };
    await Promise.all(Array.from({ length: READS }, readRest));
    return found;
  }

  async #list(abortSignal: AbortSignal): Promise<readonly _Object[]> {
    const { client, bucket: Bucket } = this.#store;
    const request = { Bucket, Prefix: this.#prefix };
    const all: _Object[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, request, {
      abortSignal,
    })) {
      all.push(...Contents);
    }
    return all;
  }

  /** Undefined when it has gone meanwhile. */
  async #versionOf({ Key, ETag }: _Object, abortSignal: AbortSignal): Promise<Version | undefined> {
    const { client, bucket: Bucket } = this.#store;
    const known = this.#read.get(`${Key ?? ''} ${ETag ?? ''}`);
    if (known !== undefined) return known;
    try {
      const answer = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal });
      const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
      const version = versionOf(bytes, false);
      this.#read.set(`${Key ?? ''} ${answer.ETag ?? ''}`, version);
      return version;
    } catch (error) {
      if (error instanceof NoSuchKey) return undefined;
      throw error;
    }
  }
}

/** A directory is there by its marker, or by anything below it. */
function addFoldersOf(path: string, found: Map<string, Version | Directory>): void {
  const parts = path.split('/').slice(0, -1);
  for (let depth = 1; depth <= parts.length; depth += 1) {
    found.set(parts.slice(0, depth).join('/'), directory);
  }
}

/** By path below `root`. */
export async function viewOfMount(root: string): Promise<Found> {
  const found = new Map<string, Version | Directory>();
  for (const { path, isFolder } of await entriesBelow(root)) {
    const shown = isFolder ? directory : versionOf(await readFile(path), false);
    found.set(relative(root, path), shown);
  }
  return found;
}

/** Uploads in parts that nobody has ended, below `prefix`. */
export async function uploadsLeft(
  { client, bucket: Bucket, name }: LookedAt & Pick<BenchStore, 'name'>,
  prefix: string,
  abortSignal: AbortSignal,
): Promise<readonly string[]> {
  // MinIO lists them by their exact key only.
  if (name === 'minio') return [];
  const command = new ListMultipartUploadsCommand({ Bucket, Prefix: prefix });
  const { Uploads = [] } = await client.send(command, { abortSignal });
  return Uploads.map(({ Key }) => Key ?? '');
}

/** The part of what was found that is the writer's, of whom every name says so. */
export function partOf(found: Found, writer: number): Found {
  const folder = `w${writer}/`;
  const isOurs = (path: string): boolean =>
    path.startsWith(folder) || path.startsWith(`shared/w${writer}-`);
  return new Map([...found].filter(([path]) => isOurs(path)));
}
