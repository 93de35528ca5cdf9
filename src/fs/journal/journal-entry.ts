/** One intent of a journal: what it says, and where that is written. */
import type { InlineContent, Intent, NotedIntent } from './intents.ts';
import type { ContentPlace, Segment } from './segment.ts';

/** What writes the changes of an entry down. */
export interface EntryWriter {
  change(entry: JournalEntry, intent: Intent, content: InlineContent | undefined): Promise<void>;
  forget(entry: JournalEntry): void;
}

/** An intent as it was found in the files of a journal. */
export interface FoundEntry {
  readonly id: number;
  readonly intent: Intent;
  readonly segment: Segment;
  readonly content: ContentPlace | undefined;
  /** The file it names had reached the disk. */
  readonly settled: boolean;
}

/** A noted intent, and where its last record is. */
export class JournalEntry implements NotedIntent {
  readonly id: number;
  intent: Intent;
  /** Where its last record is. */
  segment: Segment | undefined;
  place: ContentPlace | undefined;
  /** The file it names is on the disk. */
  settled = false;
  readonly #writer: EntryWriter;

  constructor(writer: EntryWriter, id: number, intent: Intent) {
    this.#writer = writer;
    this.id = id;
    this.intent = intent;
  }

  async change(intent: Intent, content?: InlineContent): Promise<void> {
    await this.#writer.change(this, intent, content);
  }

  async content(): Promise<Uint8Array> {
    const { place } = this;
    return place === undefined ? new Uint8Array() : await place.segment.read(place);
  }

  async forget(): Promise<void> {
    this.#writer.forget(this);
    await Promise.resolve();
  }
}
