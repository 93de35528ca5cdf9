/**
 * Sends local content to the bucket as `upload-plan.ts` cuts it: in one request, or in parts, of
 * which the server copies what has not changed.
 */
import { LinkedAbort } from '../lib/abort.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import type {
  ObjectStore,
  ObjectVersion,
  Precondition,
  UploadedPart,
} from '../store/object-store.ts';
import type { BodyPool } from './body-pool.ts';
import { type SentContent, sentInOne } from './content-doubts.ts';
import type { Place } from './directory-source.ts';
import type { Piece } from './extents.ts';
import { PartSender, type PartSource } from './part-sender.ts';
import { PartStream } from './part-stream.ts';
import { etagOfParts, PartUpload, type PartUploadParts } from './part-upload.ts';
import { hasNoAnswer, isConflict } from './save-outcomes.ts';
import { giveUpLeft, type NotedUpload, UploadLedger, type UploadNotes } from './upload-notes.ts';
import { type PlannedPart, planUpload } from './upload-plan.ts';

/** What is sent; it must not change meanwhile. */
export interface UploadSource extends PartSource {
  readonly bytes: number;
  /** The object it replaces; undefined: a new one. */
  readonly base: ObjectVersion | undefined;
  /** Its pieces: `base` where it is as in that object. */
  changes(): Iterable<Piece>;
  /** An earlier life may have sent it: a refusal may mean that it has arrived. */
  readonly sentBefore: boolean;
  /** This is about to become the object. */
  sending(sent: () => SentContent): Promise<void>;
  /** It was sent, and no answer tells whether the bucket has it. */
  mayBeStored(sent: SentContent): void;
}

/** Where an object is to appear. */
export interface UploadTarget {
  /** Changes when a directory above moves, and with it what must be there. */
  place(): Place;
  precondition(): Precondition;
  /** What is to be stored with it; while it `isGrowing`, its last change is not known. */
  metadata(isGrowing: boolean): Readonly<Record<string, string>>;
  /** Runs `work` while the place cannot change. */
  hold<T>(work: () => Promise<T>): Promise<T>;
}

/** What has become of content. */
export interface StoredContent {
  readonly version: ObjectVersion;
  readonly metadata: Readonly<Record<string, string>>;
}

/** An upload that began while its content was still being written. */
export interface EarlyUpload {
  readonly place: Place;
  readonly metadata: Readonly<Record<string, string>>;
  readonly stream: PartStream;
}

const NOT_IMPLEMENTED = 501;
/** Parts of one file at once. Copies take no memory, and a server does several at a time. */
const PARALLEL_PARTS = 4;

export class Uploader {
  readonly #sender: PartSender;
  readonly #ledger: UploadLedger;
  readonly #log: Log;
  /** Stores that have refused to copy, whatever the object. */
  readonly #copiesNothing = new WeakSet<ObjectStore>();
  #running = 0;

  constructor(notes: UploadNotes, bodies: BodyPool, log: Log) {
    this.#sender = new PartSender(bodies);
    this.#ledger = new UploadLedger(notes, log);
    this.#log = log;
  }

  /** Uploads under way. */
  get running(): number {
    return this.#running;
  }

  /** Begins to send `source` while it is being written. */
  begin(target: UploadTarget, source: PartSource): EarlyUpload {
    const place = target.place();
    const metadata = target.metadata(true);
    const start = async (): Promise<PartUpload> =>
      await PartUpload.start(place, { metadata, sendsEveryPart: true }, this.#parts);
    const stream = new PartStream({ start, source, sender: this.#sender, log: this.#log });
    return { place, metadata, stream };
  }

  /** Stores `source` at `target`, whole or not at all, and ends what was sent `early`. */
  async upload(
    target: UploadTarget,
    source: UploadSource,
    early: EarlyUpload | undefined,
    signal: AbortSignal,
  ): Promise<StoredContent> {
    this.#running += 1;
    try {
      const stored = early && (await this.#finish(target, source, early, signal));
      return stored ?? (await this.#send(target, source, signal));
    } finally {
      this.#running -= 1;
    }
  }

  /** Gives up what an earlier life has noted, as `giveUpLeft`. */
  async giveUpLeft(store: ObjectStore, left: NotedUpload, signal: AbortSignal): Promise<boolean> {
    return await giveUpLeft(store, left, () => this.#ledger.has(left), signal);
  }

  get #parts(): PartUploadParts {
    return { ledger: this.#ledger, log: this.#log };
  }

  async #send(
    target: UploadTarget,
    source: UploadSource,
    signal: AbortSignal,
  ): Promise<StoredContent> {
    let refusal: NotCopied | undefined;
    for (;;) {
      const { store } = target.place();
      const mayCopy = refusal === undefined && !this.#copiesNothing.has(store);
      const copies = mayCopy && source.base !== undefined;
      const plan = planUpload(source.changes(), source.bytes, copies);
      const outcome =
        plan.kind === 'put'
          ? await target.hold(async () => await this.#put(target, source, signal))
          : await this.#uploadParts(target, source, plan.parts, signal);
      if (outcome instanceof NotCopied) refusal = outcome;
      // A directory above has moved meanwhile, and an upload cannot change its key.
      else if (outcome !== 'moved') {
        // It could be read, so its copy was not denied for want of that right.
        if (refusal?.isOfAll === true) this.#copiesNothing.add(store);
        return outcome;
      }
    }
  }

  async #put(
    target: UploadTarget,
    source: UploadSource,
    signal: AbortSignal,
  ): Promise<StoredContent> {
    const { store, key } = target.place();
    const put = async (body: Uint8Array): Promise<StoredContent> => {
      const metadata = target.metadata(false);
      const options = { precondition: target.precondition(), metadata };
      await source.sending(() => sentInOne(body));
      try {
        return { version: await store.put(key, body, options, signal), metadata };
      } catch (error) {
        if (isInDoubt(error, source)) {
          source.mayBeStored(sentInOne(body));
        }
        throw error;
      }
    };
    return await this.#sender.withBody(source, { start: 0, end: source.bytes }, put, signal);
  }

  /** Undefined when nothing came of what was sent early, and all has to be sent. */
  async #finish(
    target: UploadTarget,
    source: UploadSource,
    { place, stream, metadata }: EarlyUpload,
    signal: AbortSignal,
  ): Promise<StoredContent | undefined> {
    let isDone = false;
    try {
      const plan = planUpload(source.changes(), source.bytes);
      // It was cut short, or is somebody else's for the most part by now.
      const isSame = plan.kind === 'parts' && plan.parts.every(({ from }) => from === 'here');
      if (!isSame || !isPlace(place, target.place())) return undefined;
      const finished = await stream.finish(source.bytes, signal);
      // What was refused while it was being written is told now, and not asked again.
      if (stream.denial !== undefined) throw stream.denial;
      if (finished === undefined) return undefined;
      const { upload, parts } = finished;
      const version = await this.#complete(upload, parts, { target, source }, signal);
      isDone = version !== undefined;
      return version && { version, metadata };
    } finally {
      if (!isDone) await stream.giveUp();
    }
  }

  async #uploadParts(
    target: UploadTarget,
    source: UploadSource,
    planned: readonly PlannedPart[],
    signal: AbortSignal,
  ): Promise<StoredContent | 'moved' | NotCopied> {
    const place = target.place();
    const metadata = target.metadata(false);
    const sendsEveryPart = planned.every(({ from }) => from === 'here');
    signal.throwIfAborted();
    const upload = await PartUpload.start(place, { metadata, sendsEveryPart }, this.#parts);
    let version: ObjectVersion | undefined;
    try {
      signal.throwIfAborted();
      const parts = await this.#sendParts(upload, source, planned, signal);
      version = await this.#complete(upload, parts, { target, source }, signal);
      return version === undefined ? 'moved' : { version, metadata };
    } catch (error) {
      // What was to be copied may have moved with it.
      if (isConflictOf(error) && !isPlace(place, target.place())) return 'moved';
      if (error instanceof NotCopied) return error;
      throw error;
    } finally {
      if (version === undefined) await upload.giveUp();
    }
  }

  async #sendParts(
    upload: PartUpload,
    source: UploadSource,
    planned: readonly PlannedPart[],
    signal: AbortSignal,
  ): Promise<readonly UploadedPart[]> {
    const parts: UploadedPart[] = [];
    const waiting = planned.entries();
    using abort = new LinkedAbort(signal);
    const work = async (): Promise<void> => {
      for (const [at, part] of waiting) {
        parts[at] = await this.#makePart(upload, at + 1, source, part, abort.signal);
      }
    };
    const workers = Array.from({ length: PARALLEL_PARTS }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      abort.abort(error);
      await Promise.allSettled(workers);
      throw error;
    }
    return parts;
  }

  async #makePart(
    upload: PartUpload,
    number: number,
    source: UploadSource,
    part: PlannedPart,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const { base } = source;
    if (part.from === 'here' || base === undefined) {
      return await this.#sender.send(upload, number, source, part, signal);
    }
    const from = { key: upload.key, ...base };
    const copy = async (): Promise<UploadedPart> => await upload.copy(number, from, part, signal);
    try {
      return await this.#sender.request(copy, signal);
    } catch (error) {
      if (!(error instanceof StoreError) || !refusesCopy(error)) throw error;
      throw new NotCopied(error);
    }
  }

  /** Undefined when the place is another by now. */
  async #complete(
    upload: PartUpload,
    parts: readonly UploadedPart[],
    { target, source }: { readonly target: UploadTarget; readonly source: UploadSource },
    signal: AbortSignal,
  ): Promise<ObjectVersion | undefined> {
    return await target.hold(async () => {
      if (target.place().key !== upload.key) return undefined;
      await source.sending(() => ({ bytes: source.bytes, etag: etagOfParts(parts) }));
      try {
        return await upload.complete(parts, target.precondition(), signal);
      } catch (error) {
        if (isInDoubt(error, source)) {
          source.mayBeStored({ bytes: source.bytes, etag: etagOfParts(parts) });
        }
        throw error;
      }
    });
  }
}

/** What the bucket's own rights or abilities keep from being copied may be read and sent. */
function refusesCopy({ kind }: StoreError): boolean {
  return kind === 'unsupported' || kind === 'access-denied';
}

/** This server does not copy this object's parts: they have to be sent. */
class NotCopied extends Error {
  override readonly name = 'NotCopied';
  /**
   * Whether it would be the same of every object: a server without UploadPartCopy, and Ceph RGW 16,
   * which denies it to credentials of its STS. Any other refusal may be due to this object.
   */
  readonly isOfAll: boolean;

  constructor(cause: StoreError) {
    super('copy a part on the server', { cause });
    this.isOfAll = cause.kind === 'access-denied' || cause.detail.status === NOT_IMPLEMENTED;
  }
}

function isPlace(one: Place, other: Place): boolean {
  return one.store === other.store && one.key === other.key;
}

function isConflictOf(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false;
  return error.kind === 'not-found' || error.kind === 'precondition-failed';
}

/** Whether the store may have what was sent, now or by an earlier life. */
function isInDoubt(error: unknown, { sentBefore }: UploadSource): boolean {
  return hasNoAnswer(error) || (sentBefore && isConflict(error));
}
