/**
 * A store whose requests are watched: how long each takes, from being asked for to its answer with
 * all tries between, how many bytes go either way, what is refused; and each change that is made
 * or tried in a bucket, for the audit log. What is not watched is what comes of it: every answer is
 * the store's own.
 */
import type { Clock } from '../lib/clock.ts';
import { elapsed, Histogram, microseconds } from '../lib/histogram.ts';
import { RateMeter } from '../lib/rate-meter.ts';
import { StoreError } from '../store/errors.ts';
import type {
  ObjectStore,
  ObjectStores,
  ObjectVersion,
  UploadedPart,
} from '../store/object-store.ts';
import type { Change, ChangeListener, RequestFailure } from './changes.ts';
import type { MountRoot } from './mount-parts.ts';

/** Kinds of request, as status and metrics call them. */
export const requestNames = [
  'list',
  'head',
  'get',
  'put',
  'copy',
  'delete',
  'start-upload',
  'upload-part',
  'copy-part',
  'complete-upload',
  'abort-upload',
  'list-uploads',
  'list-parts',
  'list-buckets',
] as const;
export type RequestName = (typeof requestNames)[number];

/** One kind of request that was made. */
export interface RequestTime {
  readonly name: RequestName;
  readonly times: Histogram;
  readonly errors: ReadonlyMap<RequestFailure, number>;
}

export class StoreTimes {
  readonly sent: RateMeter = new RateMeter();
  readonly received: RateMeter = new RateMeter();
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #times = new Map<RequestName, Histogram>();
  readonly #errors = new Map<RequestName, Map<RequestFailure, number>>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Those that were made at least once. */
  get all(): readonly RequestTime[] {
    return requestNames.flatMap((name) => {
      const times = this.#times.get(name);
      const errors = this.#errors.get(name) ?? new Map<RequestFailure, number>();
      return times === undefined ? [] : [{ name, times, errors }];
    });
  }

  /** Does `request` and counts it; `signal` is the one that may end it. */
  async time<T>(name: RequestName, request: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const started = microseconds(this.#clock.monotonic());
    try {
      return await request();
    } catch (error) {
      this.#countError(name, failureOf(error, signal));
      throw error;
    } finally {
      const times = this.#times.get(name) ?? new Histogram();
      this.#times.set(name, times);
      times.record(elapsed(started, microseconds(this.#clock.monotonic())));
    }
  }

  noteSent(bytes: number): void {
    this.sent.add(bytes, this.#clock.monotonic());
  }

  noteReceived(bytes: number): void {
    this.received.add(bytes, this.#clock.monotonic());
  }

  #countError(name: RequestName, why: RequestFailure): void {
    const errors = this.#errors.get(name) ?? new Map<RequestFailure, number>();
    errors.set(why, (errors.get(why) ?? 0) + 1);
    this.#errors.set(name, errors);
  }
}

/** `root`, with stores that are watched; each bucket has one, however often it is opened. */
export function watchedRoot(
  root: MountRoot,
  times: StoreTimes,
  changed: ChangeListener | undefined,
): MountRoot {
  if (root.kind === 'bucket') return { ...root, store: watchedStore(root.store, times, changed) };
  const { stores } = root;
  const known = new Map<string, ObjectStore>();
  const watched: ObjectStores = {
    buckets: async (signal) =>
      await times.time('list-buckets', () => stores.buckets(signal), signal),
    open: (bucket) => {
      const store = known.get(bucket) ?? watchedStore(stores.open(bucket), times, changed);
      known.set(bucket, store);
      return store;
    },
  };
  return { kind: 'buckets', stores: watched };
}

/** What is about to be changed. */
type Intended = Omit<Change, 'outcome'>;

function watchedStore(
  store: ObjectStore,
  times: StoreTimes,
  changed: ChangeListener | undefined,
): ObjectStore {
  const { bucket } = store;
  const noting = new NotedChanges(times, changed);
  return {
    bucket,
    list: async (request, signal) =>
      await times.time('list', () => store.list(request, signal), signal),
    head: async (key, signal) => await times.time('head', () => store.head(key, signal), signal),
    read: async (key, extent, etag, sink, signal) => {
      const request = (): Promise<ObjectVersion> => store.read(key, extent, etag, sink, signal);
      const version = await times.time('get', request, signal);
      times.noteReceived(Math.max(Math.min(extent.end, version.bytes) - extent.start, 0));
      return version;
    },
    put: async (key, body, options, signal) => {
      const bytes = body.byteLength;
      const request = (): Promise<ObjectVersion> => store.put(key, body, options, signal);
      const made = await noting.do({ action: 'put', bucket, key, bytes }, request, signal);
      times.noteSent(bytes);
      return made;
    },
    copy: async (from, to, options, signal) => {
      const { key: source, bytes } = from;
      const what = { action: 'copy', bucket, key: to, from: source, bytes } as const;
      return await noting.do(what, () => store.copy(from, to, options, signal), signal);
    },
    delete: async (key, signal) => {
      const request = async (): Promise<undefined> => {
        await store.delete(key, signal);
      };
      await noting.do({ action: 'delete', bucket, key }, request, signal);
    },
    ...watchedUploads(store, times, noting),
  };
}

type UploadMethods =
  | 'startUpload'
  | 'uploadPart'
  | 'copyPart'
  | 'completeUpload'
  | 'abortUpload'
  | 'listUploads'
  | 'listParts';

/** Only the completion of an upload changes what a bucket shows. */
function watchedUploads(
  store: ObjectStore,
  times: StoreTimes,
  noting: NotedChanges,
): Pick<ObjectStore, UploadMethods> {
  return {
    startUpload: async (key, options, signal) =>
      await times.time('start-upload', () => store.startUpload(key, options, signal), signal),
    uploadPart: async (upload, number, body, signal) => {
      const request = (): Promise<UploadedPart> => store.uploadPart(upload, number, body, signal);
      const part = await times.time('upload-part', request, signal);
      times.noteSent(body.byteLength);
      return part;
    },
    copyPart: async (upload, number, from, extent, signal) =>
      await times.time(
        'copy-part',
        () => store.copyPart(upload, number, from, extent, signal),
        signal,
      ),
    completeUpload: async (upload, parts, condition, signal) => {
      const what = { action: 'complete-upload', bucket: store.bucket, key: upload.key } as const;
      const request = (): Promise<ObjectVersion> =>
        store.completeUpload(upload, parts, condition, signal);
      return await noting.do(what, request, signal);
    },
    abortUpload: async (upload, signal) =>
      await times.time('abort-upload', () => store.abortUpload(upload, signal), signal),
    listUploads: async (key, signal) =>
      await times.time('list-uploads', () => store.listUploads(key, signal), signal),
    listParts: async (upload, signal) =>
      await times.time('list-parts', () => store.listParts(upload, signal), signal),
  };
}

/** Does changes, and tells what became of them. */
class NotedChanges {
  readonly #times: StoreTimes;
  readonly #changed: ChangeListener | undefined;

  constructor(times: StoreTimes, changed: ChangeListener | undefined) {
    this.#times = times;
    this.#changed = changed;
  }

  async do<T extends ObjectVersion | undefined>(
    what: Intended,
    request: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      const made = await this.#times.time(what.action, request, signal);
      const version = made === undefined ? {} : { bytes: made.bytes, etag: made.etag };
      this.#changed?.({ ...what, ...version, outcome: 'done' });
      return made;
    } catch (error) {
      const status = error instanceof StoreError ? error.detail.status : undefined;
      const outcome = failureOf(error, signal);
      this.#changed?.({ ...what, outcome, ...(status !== undefined && { status }) });
      throw error;
    }
  }
}

function failureOf(error: unknown, signal: AbortSignal): RequestFailure {
  if (error instanceof StoreError) return error.kind;
  return signal.aborted ? 'interrupted' : 'internal';
}
