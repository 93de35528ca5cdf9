/**
 * Sends local content to the bucket: in one request when it is short, else in parallel parts.
 * All uploads of a mount share one budget of memory.
 */
import { createHash } from 'node:crypto';
import { isAbort, LinkedAbort } from '../lib/abort.ts';
import { type Extent, KiB, MiB } from '../lib/bytes.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import type {
  ETag,
  ObjectStore,
  ObjectVersion,
  Precondition,
  Upload,
  UploadedPart,
} from '../store/object-store.ts';
import type { Place } from './directory-source.ts';
import { ByteBudget } from './locks.ts';
import type { SentContent } from './staged-file.ts';
import type { NotedUpload } from './staging-area.ts';

/** What is sent; it must not change meanwhile. */
export interface UploadSource {
  readonly bytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** It was sent, and no answer tells whether the bucket has it. */
  mayBeStored(sent: SentContent): void;
}

/** Where an object is to appear. */
export interface UploadTarget {
  /** Changes when a directory above moves, and with it what must be there. */
  place(): Place;
  precondition(): Precondition;
  /** Runs `work` while that cannot change. */
  hold<T>(work: () => Promise<T>): Promise<T>;
}

/** Where uploads in parts are written down, so that the next mount can give up what a crash left. */
export interface UploadNotes {
  /** Returns how to forget it. */
  note(upload: NotedUpload): Promise<() => Promise<void>>;
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
  readonly #notes: UploadNotes;
  readonly #log: Log;
  #running = 0;

  constructor(notes: UploadNotes, log: Log) {
    this.#notes = notes;
    this.#log = log;
  }

  /** Uploads under way. */
  get running(): number {
    return this.#running;
  }

  /** Stores `source` at `target`, whole or not at all. */
  async upload(
    target: UploadTarget,
    source: UploadSource,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    this.#running += 1;
    try {
      if (source.bytes <= SINGLE_PUT_BYTES) {
        return await target.hold(async () => await this.#put(target, source, signal));
      }
      for (;;) {
        const version = await this.#uploadParts(target, source, signal);
        // A directory above has moved meanwhile, and an upload cannot change its key.
        if (version !== undefined) return version;
      }
    } finally {
      this.#running -= 1;
    }
  }

  async #put(
    target: UploadTarget,
    source: UploadSource,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const { store, key } = target.place();
    const put = async (): Promise<ObjectVersion> => {
      const body = await source.read(0, source.bytes);
      try {
        return await store.put(key, body, { precondition: target.precondition() }, signal);
      } catch (error) {
        if (hasNoAnswer(error)) source.mayBeStored({ bytes: body.length, etag: etagOf(body) });
        throw error;
      }
    };
    return await this.#budget.run(source.bytes, put, signal);
  }

  /** Undefined when the place has changed. */
  async #uploadParts(
    target: UploadTarget,
    source: UploadSource,
    signal: AbortSignal,
  ): Promise<ObjectVersion | undefined> {
    const { store, key } = target.place();
    signal.throwIfAborted();
    // Not interrupted: an upload whose id nobody has learnt could never be given up.
    const upload = await store.startUpload(key, {}, new AbortController().signal);
    const forget = await this.#note({ bucket: store.bucket, ...upload });
    try {
      signal.throwIfAborted();
      const parts = await this.#sendParts(store, upload, source, signal);
      const complete = async (): Promise<ObjectVersion | undefined> =>
        target.place().key === key
          ? await completed(store, upload, parts, { source, target }, signal)
          : undefined;
      const version = await target.hold(complete);
      if (version === undefined) await this.#giveUp(store, upload, forget);
      else await forget();
      return version;
    } catch (error) {
      await this.#giveUp(store, upload, forget);
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

  /** Without a note the upload goes on: a crash of ours may leave its parts, which costs money only. */
  async #note(upload: NotedUpload): Promise<() => Promise<void>> {
    try {
      const forget = await this.#notes.note(upload);
      return async () =>
        await forget().catch((error: unknown) => {
          this.#log.warn('upload-note-left', { key: upload.key, error });
        });
    } catch (error) {
      this.#log.warn('upload-not-noted', { key: upload.key, error });
      return async () => await Promise.resolve();
    }
  }

  /** Not with the caller's signal, which may be why we are here. */
  async #giveUp(store: ObjectStore, upload: Upload, forget: () => Promise<void>): Promise<void> {
    await this.abandon(store, upload, forget, new AbortController().signal);
  }

  /** Frees what the parts of `upload` take; what stays is noted for the next mount. */
  async abandon(
    store: ObjectStore,
    upload: Upload,
    forget: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await store.abortUpload(upload, signal);
      await forget();
    } catch (error) {
      this.#log.warn('upload-not-aborted', { key: upload.key, error });
    }
  }
}

async function completed(
  store: ObjectStore,
  upload: Upload,
  parts: readonly UploadedPart[],
  { source, target }: { readonly source: UploadSource; readonly target: UploadTarget },
  signal: AbortSignal,
): Promise<ObjectVersion> {
  try {
    return await store.completeUpload(upload, parts, target.precondition(), signal);
  } catch (error) {
    if (hasNoAnswer(error)) source.mayBeStored({ bytes: source.bytes, etag: etagOfParts(parts) });
    throw error;
  }
}

/** Whether the store may have done what failed: anything but a refusal leaves that open. */
function hasNoAnswer(error: unknown): boolean {
  if (error instanceof StoreError) return ['unreachable', 'unavailable'].includes(error.kind);
  return isAbort(error);
}

/** S3's ETag of what came in one request, unless it is encrypted with a key of KMS. */
function etagOf(body: Uint8Array): ETag {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}

/** S3's ETag of an upload: the MD5 of its parts' MD5s; undefined where parts have other names. */
function etagOfParts(parts: readonly UploadedPart[]): ETag | undefined {
  const hash = createHash('md5');
  for (const { etag } of parts) {
    const hex = /^"?([\da-f]{32})"?$/i.exec(etag)?.[1];
    if (hex === undefined) return undefined;
    hash.update(Buffer.from(hex, 'hex'));
  }
  return `"${hash.digest('hex')}-${parts.length}"`;
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
