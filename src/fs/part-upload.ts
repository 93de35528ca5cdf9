/**
 * One upload in parts that is under way. It is written down before it begins (`upload-notes.ts`),
 * so that the next mount can give up what a crash leaves, and it ends in one of two ways: complete,
 * or given up.
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
import { hasNoAnswer } from './save-outcomes.ts';
import { giveUpTwins, type UploadLedger, type UploadNote } from './upload-notes.ts';

export interface PartUploadParts {
  readonly ledger: UploadLedger;
  readonly log: Log;
}

export class PartUpload {
  readonly #store: ObjectStore;
  readonly #upload: Upload;
  readonly #note: UploadNote;
  readonly #log: Log;

  private constructor(store: ObjectStore, upload: Upload, note: UploadNote, log: Log) {
    this.#store = store;
    this.#upload = upload;
    this.#note = note;
    this.#log = log;
  }

  /** Not interrupted: an upload whose id nobody has learnt could never be given up. */
  static async start(
    { store, key }: Place,
    options: UploadOptions,
    { ledger, log }: PartUploadParts,
  ): Promise<PartUpload> {
    const { signal } = new AbortController();
    const note = await ledger.note({ bucket: store.bucket, key });
    const told = { ...options, onLost: () => note.lost() };
    let upload: Upload;
    try {
      upload = await store.startUpload(key, told, signal);
      await note.begun(upload.uploadId);
    } catch (error) {
      await (hasNoAnswer(error) ? note.unanswered() : note.forget());
      throw error;
    }
    const lost = note.takeLost();
    if (lost > 0) {
      await giveUpTwins(store, upload, lost, signal).catch((error: unknown) => {
        log.warn('upload-not-aborted', { key, error });
      });
    }
    return new PartUpload(store, upload, note, log);
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
    await this.#note.forget();
    return version;
  }

  /** Frees what the parts take. Never fails: what stays is noted for the next mount. */
  async giveUp(): Promise<void> {
    // Not with the caller's signal, which may be why we are here.
    const { signal } = new AbortController();
    try {
      await this.#store.abortUpload(this.#upload, signal);
      await this.#note.forget();
    } catch (error) {
      this.#log.warn('upload-not-aborted', { key: this.key, error });
    }
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
