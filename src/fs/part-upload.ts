/**
 * One upload in parts that is under way. It is written down before its first part goes, so that
 * the next mount can give up what a crash leaves, and it ends in one of two ways: complete, or
 * given up.
 */
import { createHash } from 'node:crypto';
import type { Extent } from '../lib/bytes.ts';
import type { Log } from '../lib/log.ts';
import type {
  ETag,
  ObjectStore,
  ObjectSummary,
  ObjectVersion,
  Precondition,
  Upload,
  UploadedPart,
  UploadOptions,
} from '../store/object-store.ts';
import type { Place } from './directory-source.ts';
import type { NotedUpload } from './staging-area.ts';

/** Where uploads in parts are written down. */
export interface UploadNotes {
  /** Returns how to forget it. */
  note(upload: NotedUpload): Promise<() => Promise<void>>;
}

export interface PartUploadParts {
  readonly notes: UploadNotes;
  readonly log: Log;
}

export class PartUpload {
  readonly #store: ObjectStore;
  readonly #upload: Upload;
  readonly #forget: () => Promise<void>;
  readonly #log: Log;

  private constructor(store: ObjectStore, upload: Upload, forget: () => Promise<void>, log: Log) {
    this.#store = store;
    this.#upload = upload;
    this.#forget = forget;
    this.#log = log;
  }

  /** Not interrupted: an upload whose id nobody has learnt could never be given up. */
  static async start(
    { store, key }: Place,
    options: UploadOptions,
    { notes, log }: PartUploadParts,
  ): Promise<PartUpload> {
    const upload = await store.startUpload(key, options, new AbortController().signal);
    const forget = await noted(notes, { bucket: store.bucket, ...upload }, log);
    return new PartUpload(store, upload, forget, log);
  }

  get key(): string {
    return this.#upload.key;
  }

  async send(number: number, body: Uint8Array, signal: AbortSignal): Promise<UploadedPart> {
    return await this.#store.uploadPart(this.#upload, number, body, signal);
  }

  async copy(
    number: number,
    from: ObjectSummary,
    { start, end }: Extent,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    return await this.#store.copyPart(this.#upload, number, from, { start, end }, signal);
  }

  async complete(
    parts: readonly UploadedPart[],
    precondition: Precondition,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const version = await this.#store.completeUpload(this.#upload, parts, precondition, signal);
    await this.#forget();
    return version;
  }

  /** Frees what the parts take. Never fails: what stays is noted for the next mount. */
  async giveUp(): Promise<void> {
    // Not with the caller's signal, which may be why we are here.
    const { signal } = new AbortController();
    await abandonUpload(this.#store, this.#upload, this.#forget, this.#log, signal);
  }
}

/** Gives up an upload of whoever. Never fails: what stays is noted for the next mount. */
export async function abandonUpload(
  store: ObjectStore,
  upload: Upload,
  forget: () => Promise<void>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  try {
    await store.abortUpload(upload, signal);
    await forget();
  } catch (error) {
    log.warn('upload-not-aborted', { key: upload.key, error });
  }
}

/** S3's ETag of an upload: the MD5 of its parts' MD5s; undefined where parts have other names. */
export function etagOfParts(parts: readonly UploadedPart[]): ETag | undefined {
  const hash = createHash('md5');
  for (const { etag } of parts) {
    const hex = /^"?([\da-f]{32})"?$/i.exec(etag)?.[1];
    if (hex === undefined) return undefined;
    hash.update(Buffer.from(hex, 'hex'));
  }
  return `"${hash.digest('hex')}-${parts.length}"`;
}

/** Without a note the upload goes on: a crash of ours may leave its parts, which costs money only. */
async function noted(
  notes: UploadNotes,
  upload: NotedUpload,
  log: Log,
): Promise<() => Promise<void>> {
  try {
    const forget = await notes.note(upload);
    return async () =>
      await forget().catch((error: unknown) => {
        log.warn('upload-note-left', { key: upload.key, error });
      });
  } catch (error) {
    log.warn('upload-not-noted', { key: upload.key, error });
    return async () => await Promise.resolve();
  }
}
