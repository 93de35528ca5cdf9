/**
 * Uploads in parts as they are written down, so that the next mount gives up what a crash leaves:
 * the key before the store is asked to begin one, the id once the store has told it. A process that
 * ends in between leaves a note without id, for which `giveUpLeft` looks.
 */
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import type { ListedUpload, ObjectStore, Upload } from '../store/object-store.ts';

/** The object that an upload is to make. */
export interface UploadPlace {
  readonly bucket: string;
  readonly key: string;
}

/** What is known of an upload: it may have been begun, or surely was when there is an id. */
export interface NotedUpload extends UploadPlace {
  readonly uploadId?: string;
  /** When the key was noted, by this machine's clock, ms since the epoch. */
  readonly notedMs?: number;
}

/** One that is written down. */
export interface UploadNote {
  /** The store has begun it. */
  begun(uploadId: string): Promise<void>;
  /** It has ended. */
  forget(): Promise<void>;
}

/** Where uploads in parts are written down. */
export interface UploadNotes {
  /** Call before the store is asked; returns when the note outlives this process. */
  note(place: UploadPlace): Promise<UploadNote>;
}

/** How far this machine's clock may be ahead of the store's. */
const CLOCKS_MS = 60_000;
/** Between a note and the begin of its upload: all tries of the request. */
const LONGEST_START_MS = 15 * 60_000;

/**
 * Gives up what the note of a life that has ended tells of.
 *
 * Without an id it asks the store for the uploads of that key, of whoever, and gives one up only if
 * it cannot well be anybody else's: it began when the note was written (where the store tells when),
 * it is the only such one, and it has no part, since we send none before the id is noted. Another
 * client's is hit only if it began that same key in those minutes, has sent nothing since, and ours
 * never began.
 *
 * @param isOurs whether this process has an upload of the key under way.
 * @returns whether the note is not needed any more; false: the next mount should look again.
 */
export async function giveUpLeft(
  store: ObjectStore,
  left: NotedUpload,
  isOurs: () => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const { key, uploadId } = left;
  if (uploadId !== undefined) {
    await store.abortUpload({ key, uploadId }, signal);
    return true;
  }
  if (isOurs()) return false;
  const possible = await possibleUploads(store, left, signal);
  // One of ours that began after this question is not in its answer.
  if (isOurs() || possible.length > 1) return false;
  const [upload] = possible;
  if (upload === undefined) return true;
  await giveUpEmpty(store, upload, signal);
  return true;
}

/**
 * Gives up what the store has begun besides `upload` for tries whose answers were lost. Their ids
 * are not known: those are taken that began before it, within the time of all tries, and have no
 * part; none when there are more than `most`, the number of such tries, for then some are of others.
 */
export async function giveUpTwins(
  store: ObjectStore,
  { key, uploadId }: Upload,
  most: number,
  signal: AbortSignal,
): Promise<void> {
  const listed = await listedUploads(store, key, signal);
  const own = listed.find((each) => each.uploadId === uploadId);
  if (own === undefined) return;
  const { startedMs: lastMs } = own;
  const twins = listed.filter(
    (each) =>
      each !== own && each.startedMs <= lastMs && each.startedMs >= lastMs - LONGEST_START_MS,
  );
  if (twins.length > most) return;
  for (const twin of twins) await giveUpEmpty(store, twin, signal);
}

/** What has a part is somebody else's. */
async function giveUpEmpty(
  store: ObjectStore,
  upload: ListedUpload,
  signal: AbortSignal,
): Promise<void> {
  const parts = await store.listParts(upload, signal).catch(ifFinal);
  if (parts?.length === 0) await store.abortUpload(upload, signal);
}

async function possibleUploads(
  store: ObjectStore,
  { key, notedMs }: NotedUpload,
  signal: AbortSignal,
): Promise<readonly ListedUpload[]> {
  if (notedMs === undefined) return [];
  const listed = await listedUploads(store, key, signal);
  return listed.filter(
    // Where the store does not say when, each may be the one.
    ({ startedMs }) =>
      startedMs === 0 ||
      (startedMs >= notedMs - CLOCKS_MS && startedMs <= notedMs + LONGEST_START_MS),
  );
}

/** None where they cannot be listed. */
async function listedUploads(
  store: ObjectStore,
  key: string,
  signal: AbortSignal,
): Promise<readonly ListedUpload[]> {
  return (await store.listUploads(key, signal).catch(ifFinal)) ?? [];
}

const finalKinds: ReadonlySet<StoreError['kind']> = new Set([
  'access-denied',
  'unsupported',
  'not-found',
]);

/** Who may not ask, or whose store cannot answer, may not the next time. */
function ifFinal(error: unknown): undefined {
  if (error instanceof StoreError && finalKinds.has(error.kind)) return undefined;
  throw error;
}

/** A note of this life. None of its calls fails: without it a crash may leave parts, no more. */
export interface OwnNote extends UploadNote {
  /** A try to begin it had no answer, and is made again. */
  lost(): void;
  /** The last try had none either: nobody knows whether the store has begun it, and the next mount looks. */
  unanswered(): Promise<void>;
  /**
   * How many such tries there were of this object since this was asked last; 0 while another upload
   * of it is under way, which would be taken for one of them.
   */
  takeLost(): number;
}

/** The uploads of this life, and their notes. */
export class UploadLedger {
  readonly #notes: UploadNotes;
  readonly #log: Log;
  /** How many are under way of each object. */
  readonly #running = new Map<string, number>();
  /** The latest of each object whose begin had no answer: one of many tries is enough. */
  readonly #doubtful = new Map<string, UploadNote>();
  /** Tries to begin one that had no answer, of each object. */
  readonly #lost = new Map<string, number>();

  constructor(notes: UploadNotes, log: Log) {
    this.#notes = notes;
    this.#log = log;
  }

  /** Whether one of that object is under way. */
  has(place: UploadPlace): boolean {
    return this.#running.has(idOf(place));
  }

  /** Call before the store is asked. */
  async note(place: UploadPlace): Promise<OwnNote> {
    const id = idOf(place);
    this.#running.set(id, (this.#running.get(id) ?? 0) + 1);
    const note = await this.#noteOf(place);
    const tell = async (work: Promise<void> | undefined): Promise<void> =>
      await work?.catch((error: unknown) => {
        this.#log.warn('upload-note-not-changed', { key: place.key, error });
      });
    const lost = (): void => void this.#lost.set(id, (this.#lost.get(id) ?? 0) + 1);
    return {
      lost,
      begun: async (uploadId) => await tell(note?.begun(uploadId)),
      forget: async () => {
        this.#ended(id);
        await tell(note?.forget());
      },
      unanswered: async () => {
        lost();
        this.#ended(id);
        if (note === undefined) return;
        const before = this.#doubtful.get(id);
        this.#doubtful.set(id, note);
        await tell(before?.forget());
      },
      takeLost: () => {
        if (this.#running.get(id) !== 1) return 0;
        const lost = this.#lost.get(id) ?? 0;
        this.#lost.delete(id);
        return lost;
      },
    };
  }

  async #noteOf(place: UploadPlace): Promise<UploadNote | undefined> {
    try {
      return await this.#notes.note(place);
    } catch (error) {
      this.#log.warn('upload-not-noted', { key: place.key, error });
      return undefined;
    }
  }

  #ended(id: string): void {
    const left = (this.#running.get(id) ?? 1) - 1;
    if (left > 0) this.#running.set(id, left);
    else this.#running.delete(id);
  }
}

function idOf({ bucket, key }: UploadPlace): string {
  return `${bucket}/${key}`;
}
