/**
 * The intents of one life of a mount, in an append-only log (`SegmentRow`). What stays long is
 * copied to the end, so that the log takes at most twice what it holds, and some files.
 *
 * A record is written (write(2)) before its promise is kept: it survives the end of the process.
 * Where notes are to be durable, those that wait share one fdatasync; elsewhere one follows within
 * half a second.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { Background } from '../background.ts';
import {
  type InlineContent,
  type Intent,
  type IntentNotes,
  MOST_INLINE_BYTES,
  type NotedIntent,
} from './intents.ts';
import { type EntryWriter, type FoundEntry, JournalEntry } from './journal-entry.ts';
import type { Life } from './life.ts';
import { type ContentPlace, SEGMENT_BYTES, type Segment } from './segment.ts';
import { SegmentRow } from './segment-row.ts';
import { SharedSync } from './shared-sync.ts';

export interface JournalOptions {
  /** Made when something is noted. */
  readonly folder: string;
  readonly life: Life;
  /** A note has reached the disk when it is promised. */
  readonly durable: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between a record and its way to the disk: with the sync itself less than a second. */
const SYNC_AFTER_MS = 500;
/** Files beyond those that twice the live records would take. */
const SPARE_SEGMENTS = 2;

export class Journal implements IntentNotes, AsyncDisposable {
  readonly #options: JournalOptions;
  readonly #row: SegmentRow;
  readonly #entries = new Map<number, JournalEntry>();
  readonly #background = new Background();
  readonly #sync: SharedSync;
  /** Entries whose file is not known to be on the disk. */
  readonly #unsettled = new Set<JournalEntry>();
  /** Forgotten, and that could not be written. */
  readonly #unwritten = new Set<number>();
  #lastId = 0;
  #syncing = false;
  #moving = false;
  #trouble: Error | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    const { folder, life, durable, log } = options;
    this.#sync = new SharedSync(folder);
    const named = (): void => this.#sync.namesChanged();
    const background = this.#background;
    this.#row = new SegmentRow({ folder, life, durable, log, background, named });
  }

  /** Why nothing can be noted any more. */
  get trouble(): Error | undefined {
    return this.#trouble;
  }

  get folder(): string {
    return this.#options.folder;
  }

  /** Oldest first. */
  get entries(): readonly NotedIntent[] {
    return [...this.#entries.values()];
  }

  /** Takes up what `loadJournal` found in the folder. */
  adopt(segments: readonly Segment[], found: readonly FoundEntry[]): readonly NotedIntent[] {
    this.#row.adopt(segments);
    return found.map(({ id, intent, segment, content, settled }) => {
      this.#lastId = Math.max(this.#lastId, id);
      const entry = new JournalEntry(this.#writer, id, intent);
      entry.settled = settled;
      this.#place(entry, segment, content);
      this.#entries.set(id, entry);
      return entry;
    });
  }

  async note(intent: Intent, content: InlineContent = []): Promise<NotedIntent> {
    this.#lastId += 1;
    const entry = new JournalEntry(this.#writer, this.#lastId, intent);
    this.#entries.set(entry.id, entry);
    try {
      await this.#write(entry, 'note', intent, content);
    } catch (error) {
      await entry.forget();
      throw error;
    }
    return entry;
  }

  /** Lets go of the files and leaves them as they are. */
  async leave(): Promise<void> {
    await this.#background[Symbol.asyncDispose]();
    this.#row.dropSpare();
    this.#close(false);
  }

  /** Ends it; files without anything that is still promised are removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#background[Symbol.asyncDispose]();
    this.#row.dropSpare();
    const isDone = this.#entries.size === 0;
    if (!isDone) {
      await this.#settle().catch((error: unknown) => {
        this.#options.log.error('journal-not-synced', { error });
      });
    }
    this.#close(isDone);
  }

  #close(isDone: boolean): void {
    this.#row.close(isDone);
    this.#trouble ??= new Error('the journal is closed');
  }

  /** What entries may do here. */
  get #writer(): EntryWriter {
    return {
      change: async (entry, intent, content) => {
        // A change counts on the note that has the bytes. Where there are none, nothing else keeps
        // the file of that note: this one stands for itself.
        const isNote = content !== undefined || entry.place === undefined;
        await this.#write(entry, isNote ? 'note' : 'change', intent, content ?? []);
      },
      forget: (entry) => this.#forget(entry),
    };
  }

  async #write(
    entry: JournalEntry,
    type: 'note' | 'change',
    intent: Intent,
    content: InlineContent,
  ): Promise<void> {
    refuseLong(content);
    const { durable } = this.#options;
    const file = fileOf(intent);
    // Its bytes first: a record never promises what is not there.
    if (durable && file !== undefined) await syncFile(join(this.folder, file));
    // Forgotten meanwhile: its places are counted as free already.
    if (!this.#entries.has(entry.id)) return;
    this.#append(entry, type, intent, content);
    entry.settled = durable && file !== undefined;
    if (!durable) {
      if (file !== undefined) this.#unsettled.add(entry);
      this.#syncSoon();
      return;
    }
    await this.#synced();
  }

  /** Writes a record of `entry`, and what stands before it no longer counts. */
  #append(
    entry: JournalEntry,
    type: 'note' | 'change',
    intent: Intent,
    content: InlineContent,
  ): void {
    const json = JSON.stringify(intent);
    const segment = this.#segmentForNext();
    const place = segment.append({ type, id: entry.id, json }, content, this.#options.durable);
    entry.intent = intent;
    this.#place(entry, segment, type === 'change' ? entry.place : place);
    this.#row.shed();
  }

  #place(entry: JournalEntry, segment: Segment, content: ContentPlace | undefined): void {
    const before = [entry.segment, entry.place?.segment];
    entry.segment = segment;
    entry.place = content?.bytes === 0 ? undefined : content;
    segment.users += 1;
    if (entry.place !== undefined) entry.place.segment.users += 1;
    for (const used of before) if (used !== undefined) used.users -= 1;
  }

  #forget(entry: JournalEntry): void {
    if (!this.#entries.delete(entry.id)) return;
    this.#unsettled.delete(entry);
    const { segment, place } = entry;
    // Nothing of it was ever written.
    if (segment === undefined) return;
    this.#unwritten.add(entry.id);
    try {
      this.#writeForgotten();
    } catch (error) {
      // Tried again with the next record; until then a crash would find it as not done.
      this.#options.log.warn('intent-not-forgotten', { error });
    }
    segment.users -= 1;
    if (place !== undefined) place.segment.users -= 1;
    this.#row.shed();
  }

  #writeForgotten(): void {
    for (const id of this.#unwritten) {
      this.#segmentAt().append({ type: 'forget', id, json: '' }, [], this.#options.durable);
      this.#unwritten.delete(id);
    }
  }

  #segmentForNext(): Segment {
    if (this.#trouble !== undefined) throw this.#trouble;
    if (this.#unwritten.size > 0) this.#writeForgotten();
    return this.#segmentAt();
  }

  #segmentAt(): Segment {
    return this.#row.current(() => this.#compact());
  }

  /** Copies what is left in the first file to the end, when most of the log is done. */
  #compact(): void {
    if (this.#moving || this.#isCompact()) return;
    this.#moving = true;
    this.#background.start(async (signal) => {
      try {
        while (!signal.aborted && !this.#isCompact()) {
          const [first] = this.#row.all;
          await this.#moveFirst(signal);
          // Still needed: by what, the next file that is begun may tell.
          if (this.#row.all[0] === first) return;
        }
      } catch (error) {
        this.#options.log.warn('journal-not-compacted', { error });
      } finally {
        this.#moving = false;
      }
    });
  }

  #isCompact(): boolean {
    if (this.#row.all.length <= 2 * SPARE_SEGMENTS) return true;
    let live = 0;
    for (const entry of this.#entries.values()) live += entry.place?.bytes ?? 0;
    return this.#row.all.length * SEGMENT_BYTES <= 2 * live + SPARE_SEGMENTS * SEGMENT_BYTES;
  }

  async #moveFirst(signal: AbortSignal): Promise<void> {
    const [first] = this.#row.all;
    for (const entry of [...this.#entries.values()]) {
      if (signal.aborted) return;
      if (entry.segment !== first && entry.place?.segment !== first) continue;
      const { intent, segment, place } = entry;
      const content = await entry.content();
      // Only what is still as it was: whoever changed it wrote it at the end.
      const isSame = entry.segment === segment && entry.place === place && entry.intent === intent;
      if (!this.#entries.has(entry.id) || !isSame) continue;
      this.#append(entry, 'note', intent, [content]);
      if (entry.settled) this.#appendSettled(entry);
    }
    this.#row.shed();
  }

  /** Joins those who wait for the disk. */
  async #synced(): Promise<void> {
    try {
      await this.#sync.run(() => this.#row.all);
    } catch (error) {
      // What the kernel could not write it may have dropped: no later sync would tell.
      this.#trouble ??= error instanceof Error ? error : new Error(String(error));
      this.#options.log.error('journal-failed', { error });
      throw error;
    }
  }

  #syncSoon(): void {
    if (this.#syncing) return;
    this.#syncing = true;
    this.#background.start(async (signal) => {
      try {
        await this.#options.clock.sleep(SYNC_AFTER_MS, signal);
      } finally {
        this.#syncing = false;
      }
      await this.#settle();
    });
  }

  /** Brings files and records to the disk, and notes of which files that is known. */
  async #settle(): Promise<void> {
    for (const entry of [...this.#unsettled]) {
      const file = fileOf(entry.intent);
      this.#unsettled.delete(entry);
      if (file === undefined) continue;
      const isSettled = await syncFile(join(this.folder, file)).then(
        () => true,
        // Saved and removed meanwhile; or it stays in doubt, and only the end of the machine minds.
        () => false,
      );
      // It may have been forgotten, or changed and be waiting again.
      const isSame = this.#entries.has(entry.id) && fileOf(entry.intent) === file;
      if (isSettled && isSame && !this.#unsettled.has(entry)) this.#appendSettled(entry);
    }
    await this.#synced();
  }

  #appendSettled(entry: JournalEntry): void {
    this.#segmentForNext().append({ type: 'settled', id: entry.id, json: '' }, [], false);
    entry.settled = true;
  }
}

function fileOf(intent: Intent): string | undefined {
  if (intent.kind !== 'save' || intent.content === 'inline') return undefined;
  return intent.content.file;
}

function refuseLong(content: InlineContent): void {
  const bytes = content.reduce((sum, piece) => sum + piece.byteLength, 0);
  if (bytes > MOST_INLINE_BYTES) throw new RangeError(`${bytes} bytes are too many for a record`);
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}
