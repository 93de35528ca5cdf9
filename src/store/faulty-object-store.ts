/** An `ObjectStore` that fails as told, so that tests see how wire bears it. */
import type { Extent } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { pour } from '../lib/pour.ts';
import { StoreError, type StoreErrorKind } from './errors.ts';
import type {
  ETag,
  ListedUpload,
  ListPage,
  ListRequest,
  ObjectHead,
  ObjectStore,
  ObjectSummary,
  ObjectVersion,
  Precondition,
  ReadSink,
  Upload,
  UploadedPart,
  UploadOptions,
  WriteOptions,
} from './object-store.ts';
import { BufferSink } from './read-sink.ts';

export type StoreMethod = Exclude<keyof ObjectStore, 'bucket'>;

/** One call, as a script sees it. */
export interface StoreCall {
  readonly method: StoreMethod;
  /** The key; of `list` the prefix, of `copy` the target. */
  readonly key: string;
  /** Counts the calls of this method from 1. */
  readonly nth: number;
}

/** What goes wrong with a call. Fields may be combined; the delay comes first. */
export interface Fault {
  readonly delayMs?: number;
  /** Waits until the caller gives up. */
  readonly stall?: boolean;
  /** Refuses; nothing is done. */
  readonly error?: StoreErrorKind;
  /** Does it, then refuses all the same: the answer was lost. */
  readonly lostAnswer?: StoreErrorKind;
  /** The answer tells this ETag instead of the right one. */
  readonly etag?: ETag;
  /** A read throws `unavailable` after so many bytes. */
  readonly cutAfterBytes?: number;
  /** A read ends after so many bytes as if all were told, against its promise. */
  readonly shortAfterBytes?: number;
}

/** Undefined: the call goes well. */
export type FaultScript = (call: StoreCall) => Fault | undefined;

export class FaultyObjectStore implements ObjectStore {
  readonly bucket: string;
  readonly #store: ObjectStore;
  readonly #script: FaultScript;
  readonly #clock: Clock;
  readonly #calls = new Map<StoreMethod, number>();

  constructor(store: ObjectStore, script: FaultScript, clock: Clock) {
    this.bucket = store.bucket;
    this.#store = store;
    this.#script = script;
    this.#clock = clock;
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<ListPage> {
    return await this.#call('list', request.prefix, signal, (store) => store.list(request, signal));
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectHead> {
    return await this.#call('head', key, signal, (store) => store.head(key, signal));
  }

  async read(
    key: string,
    extent: Extent,
    etag: ETag,
    sink: ReadSink,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    return await this.#call('read', key, signal, async (store, fault) => {
      const { cutAfterBytes, shortAfterBytes } = fault;
      const left = cutAfterBytes ?? shortAfterBytes;
      if (left === undefined) return await store.read(key, extent, etag, sink, signal);
      const whole = new BufferSink(new Uint8Array(extent.end - extent.start));
      const version = await store.read(key, extent, etag, whole, signal);
      pour(whole.bytes.subarray(0, left), sink);
      if (cutAfterBytes !== undefined) throw injected('unavailable', `read ${key}`);
      return version;
    });
  }

  async put(
    key: string,
    body: Uint8Array,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const put = (store: ObjectStore): Promise<ObjectVersion> =>
      store.put(key, body, options, signal);
    return await this.#call('put', key, signal, put);
  }

  async copy(
    from: ObjectSummary,
    to: string,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const copy = (store: ObjectStore): Promise<ObjectVersion> =>
      store.copy(from, to, options, signal);
    return await this.#call('copy', to, signal, copy);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#call('delete', key, signal, (store) => store.delete(key, signal));
  }

  async startUpload(key: string, options: UploadOptions, signal: AbortSignal): Promise<Upload> {
    const start = (store: ObjectStore): Promise<Upload> => store.startUpload(key, options, signal);
    return await this.#call('startUpload', key, signal, start);
  }

  async uploadPart(
    upload: Upload,
    number: number,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const send = (store: ObjectStore): Promise<UploadedPart> =>
      store.uploadPart(upload, number, body, signal);
    return await this.#call('uploadPart', upload.key, signal, send);
  }

  async copyPart(
    upload: Upload,
    number: number,
    from: ObjectSummary,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const copy = (store: ObjectStore): Promise<UploadedPart> =>
      store.copyPart(upload, number, from, extent, signal);
    return await this.#call('copyPart', upload.key, signal, copy);
  }

  async completeUpload(
    upload: Upload,
    parts: readonly UploadedPart[],
    precondition: Precondition | undefined,
    signal: AbortSignal,
  ): Promise<ObjectVersion> {
    const complete = (store: ObjectStore): Promise<ObjectVersion> =>
      store.completeUpload(upload, parts, precondition, signal);
    return await this.#call('completeUpload', upload.key, signal, complete);
  }

  async abortUpload(upload: Upload, signal: AbortSignal): Promise<void> {
    const abort = (store: ObjectStore): Promise<void> => store.abortUpload(upload, signal);
    await this.#call('abortUpload', upload.key, signal, abort);
  }

  async listUploads(key: string, signal: AbortSignal): Promise<readonly ListedUpload[]> {
    const list = (store: ObjectStore): Promise<readonly ListedUpload[]> =>
      store.listUploads(key, signal);
    return await this.#call('listUploads', key, signal, list);
  }

  async listParts(upload: Upload, signal: AbortSignal): Promise<readonly UploadedPart[]> {
    const list = (store: ObjectStore): Promise<readonly UploadedPart[]> =>
      store.listParts(upload, signal);
    return await this.#call('listParts', upload.key, signal, list);
  }

  async #call<T>(
    method: StoreMethod,
    key: string,
    signal: AbortSignal,
    work: (store: ObjectStore, fault: Fault) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const nth = (this.#calls.get(method) ?? 0) + 1;
    this.#calls.set(method, nth);
    const fault = this.#script({ method, key, nth }) ?? {};
    const tried = `${method} ${key}`;
    if (fault.delayMs !== undefined) await this.#clock.sleep(fault.delayMs, signal);
    if (fault.stall === true) await untilAborted(signal);
    if (fault.error !== undefined) throw injected(fault.error, tried);
    const result = await work(this.#store, fault);
    if (fault.lostAnswer !== undefined) throw injected(fault.lostAnswer, tried);
    return withEtag(result, fault);
  }
}

function injected(kind: StoreErrorKind, tried: string): StoreError {
  return new StoreError(kind, tried, { code: 'InjectedFault' });
}

/** Rejects with the reason, in the end. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  signal.throwIfAborted();
}

function withEtag<T>(result: T, { etag }: Fault): T {
  if (etag === undefined || typeof result !== 'object' || result === null) return result;
  return 'etag' in result ? { ...result, etag } : result;
}
