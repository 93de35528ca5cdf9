/**
 * What a journal holds that its life has left. A tail that was cut off is no loss: its promise was
 * never given. What is damaged before that makes all earlier notes doubtful, since later records
 * may have taken them back: they are shown to people, and nothing is done by itself. Files of
 * another kind are left as they are.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseIntent } from './intent-json.ts';
import type { Intent, NotedIntent } from './intents.ts';
import { Journal, type JournalOptions } from './journal.ts';
import type { FoundEntry } from './journal-entry.ts';
import { fieldsOf, type Life, parseLife } from './life.ts';
import type { Found, JournalRecord } from './record.ts';
import { type ContentPlace, Segment } from './segment.ts';
import { isSegmentName } from './segment-row.ts';

/** A promise of a life that has ended. */
export interface LeftIntent {
  readonly noted: NotedIntent;
  /**
   * Why it must not be done without a look: records after it are lost, or the machine went down
   * before its file had reached the disk.
   */
  readonly doubt: 'damaged' | 'unsettled' | undefined;
}

export interface LoadedJournal {
  readonly journal: Journal;
  readonly life: Life;
  /** Oldest first. */
  readonly intents: readonly LeftIntent[];
  /** Files in which records are lost. */
  readonly damaged: readonly string[];
}

/** What is known of one id so far. */
interface Remembered {
  readonly intent: Intent;
  readonly segment: Segment;
  readonly content: ContentPlace | undefined;
  readonly settled: boolean;
  readonly damaged: boolean;
}

/**
 * The journal in `folder`; undefined where there is none that can be read. More may be noted in it,
 * under the same name of who it belongs to.
 */
export async function loadJournal(
  options: Omit<JournalOptions, 'life'> & { readonly boot: string },
): Promise<LoadedJournal | undefined> {
  const files = await loadSegments(options.folder);
  const reading = new Reading();
  for (const { segment, found } of files) reading.take(segment, found);
  const { life } = reading;
  if (life === undefined) {
    for (const { segment } of files) segment.close();
    return undefined;
  }
  const { boot, ...rest } = options;
  const journal = new Journal({ ...rest, life });
  const found = reading.entries(life.boot !== '' && life.boot === boot);
  const noted = journal.adopt(
    files.map(({ segment }) => segment),
    found.map(({ entry }) => entry),
  );
  const intents = noted.map((each, at) => ({ noted: each, doubt: found[at]?.doubt }));
  return { journal, life, intents, damaged: reading.damaged };
}

async function loadSegments(
  folder: string,
): Promise<{ readonly segment: Segment; readonly found: readonly Found[] }[]> {
  const loaded = [];
  for (const name of await readdir(folder)) {
    if (!isSegmentName(name)) continue;
    const file = await Segment.load(join(folder, name));
    if (file !== undefined) loaded.push(file);
  }
  return loaded.sort((a, b) => a.segment.order - b.segment.order);
}

/** Goes through the records in their order. */
class Reading {
  life: Life | undefined;
  readonly damaged: string[] = [];
  #durable = false;
  readonly #known = new Map<number, Remembered>();

  take(segment: Segment, found: readonly Found[]): void {
    for (const each of found) {
      if ('damage' in each) this.#damage(segment);
      else this.#read(segment, each.record);
    }
  }

  /** @param sameBoot the machine has not gone down since: every write has arrived. */
  entries(
    sameBoot: boolean,
  ): readonly { readonly entry: FoundEntry; readonly doubt: LeftIntent['doubt'] }[] {
    return [...this.#known].map(([id, { damaged, ...known }]) => {
      const isFile = known.intent.kind === 'save' && known.intent.content !== 'inline';
      const settled = known.settled || this.#durable;
      const isUnsettled = isFile && !settled && !sameBoot;
      const doubt = damaged ? 'damaged' : isUnsettled ? 'unsettled' : undefined;
      return { entry: { ...known, id, settled }, doubt };
    });
  }

  #damage(segment: Segment): void {
    this.damaged.push(segment.path);
    // Nobody but a person may take it away.
    segment.users += 1;
    for (const [id, known] of this.#known) this.#known.set(id, { ...known, damaged: true });
  }

  #read(segment: Segment, record: JournalRecord): void {
    switch (record.type) {
      case 'life': {
        this.life ??= parseLife(record.json);
        this.#durable = fieldsOf(record.json)?.['durable'] === true;
        return;
      }
      case 'forget': {
        this.#known.delete(record.id);
        return;
      }
      case 'settled': {
        const known = this.#known.get(record.id);
        if (known !== undefined) this.#known.set(record.id, { ...known, settled: true });
        return;
      }
      case 'note':
      case 'change': {
        this.#note(segment, record);
      }
    }
  }

  #note(segment: Segment, { type, id, json, contentAt, contentBytes }: JournalRecord): void {
    const intent = parseIntent(json);
    // Of a later wire, perhaps: its file stays as it is.
    if (intent === undefined) {
      this.#damage(segment);
      return;
    }
    const own = { segment, offset: contentAt, bytes: contentBytes };
    const before = this.#known.get(id);
    const content = type === 'note' ? own : before?.content;
    // Made again by a later note when its bytes came after the damage.
    const damaged = type === 'change' && (before === undefined || before.damaged);
    this.#known.set(id, { intent, segment, content, settled: false, damaged });
  }
}
