/**
 * Sends local content to the bucket: in one request when it is short, else in parallel parts.
 * All uploads of a mount share one budget of memory.
 */
import { LinkedAbort } from '../lib/abort.ts';
import { type Extent, KiB, MiB } from '../lib/bytes.ts';
import type { Log } from '../lib/log.ts';
import type {
  ObjectStore,
  ObjectVersion,
  Precondition,
  Upload,
  UploadedPart,
} from '../store/object-store.ts';
import type { Place } from './directory-source.ts';
import { ByteBudget } from './locks.ts';

/** What is sent; it must not change meanwhile. */
export interface UploadSource {
  readonly bytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** One request up to here: a second one would cost more than its parallelism brings. */
const SINGLE_PUT_BYTES = 16 * MiB;
/** S3 takes at most this many parts (API: UploadPart). */
const MAX_PARTS = 10_000;
const FIRST_PART_BYTES = 8 * MiB;
const PARALLEL_PARTS = 4;
/** Memory of all uploads together, and how many requests may share it. */
const UPLOAD_BYTES = 48 * MiB;
const MAX_UPLOADS = 32;

export class Uploader {
  readonly #budget = new ByteBudget(UPLOAD_BYTES, MAX_UPLOADS);
  readonly #log: Log;
  #running = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Uploads under way. */
  get running(): number {
    return this.#running;
  }

  /** Stores `source` at `place`, whole or not at all. */
  async upload(
    { store, key }: Place,
    source: UploadSource,
    precondition: Precondition,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    this.#running += 1;
    try {
      if (source.bytes > SINGLE_PUT_BYTES) {
        return await this.#uploadParts(store, key, source, precondition, signal);
      }
      const put = async (): Promise<ObjectVersion> =>
        await store.put(key, await source.read(0, source.bytes), { precondition }, signal);
      return await this.#budget.run(source.bytes, put, signal);
    } finally {
      this.#running -= 1;
    }
  }

  async #uploadParts(
    store: ObjectStore,
    key: string,
    source: UploadSource,
    precondition: Precondition,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const upload = await store.startUpload(key, {}, signal);
    try {
      const parts = await this.#sendParts(store, upload, source, signal);
      return await store.completeUpload(upload, parts, precondition, signal);
    } catch (error) {
      await this.#giveUp(store, upload);
      throw error;
    }
  }

  async #sendParts(
    store: ObjectStore,
    upload: Upload,
    source: UploadSource,
    signal: AbortSignal,
  ): Promise<readonly UploadedPart[]> {
    const extents = partExtents(source.bytes);
    const parts: UploadedPart[] = [];
    const waiting = extents.entries();
    using abort = new LinkedAbort(signal);
    const send = async (): Promise<void> => {
      for (const [at, { start, end }] of waiting) {
        const part = async (): Promise<UploadedPart> => {
          const body = await source.read(start, end - start);
          return await store.uploadPart(upload, at + 1, body, abort.signal);
        };
        parts[at] = await this.#budget.run(end - start, part, abort.signal);
      }
    };
    const senders = Array.from({ length: PARALLEL_PARTS }, send);
    try {
      await Promise.all(senders);
    } catch (error) {
      abort.abort(error);
      await Promise.allSettled(senders);
      throw error;
    }
    return parts;
  }

  /** Frees what the parts take. Not with the caller's signal, which may be why we are here. */
  async #giveUp(store: ObjectStore, upload: Upload): Promise<void> {
    try {
      await store.abortUpload(upload, new AbortController().signal);
    } catch (error) {
      this.#log.warn('upload-not-aborted', { key: upload.key, error });
    }
  }
}

/** How `bytes` are cut: parts of 8 MiB, larger ones when there would be too many. */
export function partExtents(bytes: number): readonly Extent[] {
  const least = Math.ceil(bytes / MAX_PARTS / (64 * KiB)) * 64 * KiB;
  const partBytes = Math.max(FIRST_PART_BYTES, least);
  const parts: Extent[] = [];
  for (let start = 0; start < bytes; start += partBytes) {
    parts.push({ start, end: Math.min(start + partBytes, bytes) });
  }
  return parts;
}
