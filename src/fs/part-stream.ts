/**
 * Sends a file that is written in order while it is being written. Each part of the grid goes once
 * it is complete; what is changed in it afterwards makes it stale, and the save sends it again
 * under its number. The save also sends the rest and completes the upload: until then the bucket
 * shows nothing.
 *
 * Invariant: of one number only one part is under way at a time, so that the last one sent holds.
 */
import { isAbort } from '../lib/abort.ts';
import type { Log } from '../lib/log.ts';
import type { StoreError } from '../store/errors.ts';
import type { UploadedPart } from '../store/object-store.ts';
import type { PartSender, PartSource } from './part-sender.ts';
import type { PartUpload } from './part-upload.ts';
import { isDenied } from './save-outcomes.ts';
import { gridPart, gridParts, type PlannedPart } from './upload-plan.ts';

interface SentPart {
  /** Undefined while it is under way. */
  uploaded: UploadedPart | undefined;
  stale: boolean;
}

export interface PartStreamParts {
  /** Begins the upload. */
  readonly start: () => Promise<PartUpload>;
  readonly source: PartSource;
  readonly sender: PartSender;
  readonly log: Log;
}

/** Parts of one file on their way at once; all files share the sender's memory. */
const PARALLEL_PARTS = 4;
/** Who changes so much of what was sent does not write in order: the rest waits for the save. */
const MOST_STALE = 4;

export class PartStream {
  readonly #parts: PartStreamParts;
  readonly #upload: Promise<PartUpload>;
  readonly #sent = new Map<number, SentPart>();
  readonly #running = new Set<Promise<void>>();
  readonly #end = new AbortController();
  #next = 1;
  #writtenBytes = 0;
  #stale = 0;
  #failed = false;
  #denial: StoreError | undefined;

  constructor(parts: PartStreamParts) {
    this.#parts = parts;
    this.#upload = parts.start();
    this.#upload.catch((error: unknown) => this.#fail(error));
  }

  /** The store has said that this login may not write there: to ask again is no help. */
  get denial(): StoreError | undefined {
    return this.#denial;
  }

  /** Up to here it is written: what is complete of that can be sent. Waits for nothing. */
  written(bytes: number): void {
    this.#writtenBytes = bytes;
    this.#pump();
  }

  /** `[start, end)` is changed, or cut off; `written` says how far it is good again. */
  changed(start: number, end: number): void {
    this.#writtenBytes = Math.min(this.#writtenBytes, start);
    for (const [number, sent] of this.#sent) {
      const part = gridPart(number);
      if (sent.stale || part === undefined || part.start >= end || part.end <= start) continue;
      sent.stale = true;
      this.#stale += 1;
    }
  }

  /**
   * The upload with all parts of `bytes` sent, which must not change any more; undefined when it
   * has failed before, and another one may succeed.
   */
  async finish(
    bytes: number,
    signal: AbortSignal,
  ): Promise<{ upload: PartUpload; parts: readonly UploadedPart[] } | undefined> {
    this.#writtenBytes = 0;
    const upload = await this.#upload.catch(() => undefined);
    if (upload === undefined || this.#failed) return undefined;
    const follow = (): void => this.#end.abort(signal.reason);
    signal.addEventListener('abort', follow, { once: true });
    try {
      signal.throwIfAborted();
      const parts = await this.#sendRest(gridParts(bytes));
      return { upload, parts };
    } finally {
      signal.removeEventListener('abort', follow);
    }
  }

  /** Ends it; nothing is under way when it returns. Never fails. */
  async giveUp(): Promise<void> {
    this.#end.abort(new Error('the upload was given up'));
    await Promise.all(this.#running);
    const upload = await this.#upload.catch(() => undefined);
    await upload?.giveUp();
  }

  #pump(): void {
    while (this.#running.size < PARALLEL_PARTS && this.#stale <= MOST_STALE && !this.#failed) {
      const part = gridPart(this.#next);
      if (part === undefined || part.end > this.#writtenBytes) return;
      this.#start(this.#next, { ...part, from: 'here' });
      this.#next += 1;
    }
  }

  #start(number: number, part: PlannedPart): void {
    const running = this.#send(number, part)
      .then(() => undefined)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#running.delete(running);
        this.#pump();
      });
    this.#running.add(running);
  }

  async #send(number: number, part: PlannedPart): Promise<UploadedPart> {
    const sent: SentPart = { uploaded: undefined, stale: false };
    this.#sent.set(number, sent);
    const { source, sender } = this.#parts;
    const upload = await this.#upload;
    sent.uploaded = await sender.send(upload, number, source, part, this.#end.signal);
    return sent.uploaded;
  }

  async #sendRest(planned: readonly PlannedPart[]): Promise<readonly UploadedPart[]> {
    await Promise.all(this.#running);
    this.#end.signal.throwIfAborted();
    const parts: UploadedPart[] = [];
    const waiting = planned.entries();
    const work = async (): Promise<void> => {
      for (const [at, part] of waiting) {
        const sent = this.#sent.get(at + 1);
        const isGood = sent?.stale === false;
        parts[at] = (isGood ? sent.uploaded : undefined) ?? (await this.#send(at + 1, part));
      }
    };
    const workers = Array.from({ length: PARALLEL_PARTS }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      this.#end.abort(error);
      await Promise.allSettled(workers);
      throw error;
    }
    return parts;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    if (isDenied(error)) this.#denial = error;
    // The save tries once more, and tells what comes of that.
    if (!isAbort(error)) this.#parts.log.info('part-not-sent-early', { error });
  }
}
