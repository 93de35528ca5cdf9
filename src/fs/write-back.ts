/**
 * Write-back: what a close was told is safe lies in the local journal, and gets to the bucket in the
 * background. Without it (`off`) only what was refused for want of a login waits here, until there
 * is one.
 *
 * Each file that waits has one intent, which a later close changes. It is forgotten once the bucket
 * has the content, somebody has removed the file, or the bytes are put aside where a person finds
 * them, since somebody else has changed the object: never before. What the store refuses for other
 * reasons (policy, a quota) is shown as it was written, and asked for again until it is taken.
 */
import { basename, dirname } from 'node:path';
import { MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import { Background } from './background.ts';
import { type Doubt, isSameSent, type SentContent, sentInOne } from './content-doubts.ts';
import type { DiskRoom } from './disk-room.ts';
import { ExtentMap } from './extents.ts';
import type { IntentNotes, NotedIntent, SaveIntent, SentIntent } from './journal/intents.ts';
import { wholeContent } from './left-content.ts';
import { type DirectoryNode, type FileNode, filePlaceOf, isWithin } from './nodes.ts';
import type { SaveJournal } from './save-journal.ts';
import { isLoginEnd, isRefusal, SaveQueue } from './save-queue.ts';
import type { StagedFile } from './staged-file.ts';

/** What a close waits for: the bucket; bytes that outlive the process; bytes that are on the disk. */
export type WriteBackMode = 'off' | 'on' | 'durable';

export interface WriteBackParts {
  readonly mode: WriteBackMode;
  readonly journal: ({ readonly folder: string } & IntentNotes) | undefined;
  /** Metadata that the object of `node` is to have. */
  readonly metadataOf: (node: FileNode) => Readonly<Record<string, string>>;
  /** As `SaveQueueOptions.save`. */
  readonly save: (node: FileNode, signal: AbortSignal) => Promise<void>;
  readonly room: DiskRoom;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

/** How far the bucket is behind. */
export interface WriteBackFigures {
  /** Accepted, and not in the bucket. */
  readonly files: number;
  readonly bytes: number;
  /** When the oldest of them was accepted, ms since the epoch. */
  readonly oldestMs: number | undefined;
  /** Why it does not get on, where it does not. */
  readonly trouble: string | undefined;
}

interface Accepted {
  readonly noted: NotedIntent;
  /** Of the journal that `noted` is in: a file it names lies there. */
  readonly folder: string;
  readonly bytes: number;
  readonly acceptedMs: number;
}

/** What was sent, as seen from what is to be saved. */
type SortOfSent = 'present' | 'earlier' | 'other';

/** Two thirds of what content that is being written may take of the usual memory. */
const MOST_HELD_BYTES = 8 * MiB;
/** More would take more memory than they are worth: a close then waits for the bucket. */
const MOST_ACCEPTED = 100_000;
/** Of a file: contents that were sent, one after the other, while nobody heard an answer. */
const MOST_SENT = 32;

export class WriteBack implements SaveJournal, AsyncDisposable {
  readonly #parts: WriteBackParts;
  readonly #queue: SaveQueue;
  readonly #background = new Background();
  readonly #accepted = new Map<FileNode, Accepted>();
  #bytes = 0;
  #closed = false;

  constructor(parts: WriteBackParts) {
    const { clock, log, save, random = Math.random } = parts;
    this.#parts = parts;
    const mayHold = (): boolean => this.#bytes <= MOST_HELD_BYTES;
    this.#queue = new SaveQueue({ clock, log, save, random, mayHold });
  }

  get figures(): WriteBackFigures {
    const { trouble } = this.#queue;
    return {
      files: this.#accepted.size,
      bytes: this.#bytes,
      oldestMs: this.#oldestMs,
      trouble: trouble instanceof Error ? trouble.message : undefined,
    };
  }

  /** Files that were accepted. */
  get nodes(): readonly FileNode[] {
    return [...this.#accepted.keys()];
  }

  async accept(node: FileNode, staged: StagedFile, signal: AbortSignal): Promise<boolean> {
    const { mode, journal, log } = this.#parts;
    if (mode === 'off' || journal === undefined || this.#closed) return false;
    signal.throwIfAborted();
    if (this.#accepted.size >= MOST_ACCEPTED || !this.#parts.room.isThere()) return false;
    try {
      await this.#note(journal, node, staged);
    } catch (error) {
      // The bucket is asked instead, and what it says is what the program is told.
      log.warn('not-accepted', { name: node.name, error });
      return false;
    }
    this.#queue.add(node);
    return true;
  }

  /** Content that an earlier life has accepted, and which `node` has by now. */
  adopt(
    node: FileNode,
    noted: NotedIntent,
    { bytes, acceptedMs }: SaveIntent,
    folder: string,
  ): void {
    this.#keep(node, { noted, folder, bytes, acceptedMs });
    this.#queue.add(node);
  }

  holds(node: FileNode): boolean {
    return !this.#closed && this.#queue.has(node);
  }

  /** The same also when nothing is saved any more: what was accepted stays for the next mount. */
  keeps(node: FileNode): boolean {
    return this.#accepted.has(node);
  }

  async saved(node: FileNode): Promise<void> {
    this.#queue.done(node, true);
    await this.#forget(node);
  }

  failed(node: FileNode, _: StagedFile, error: unknown): void {
    if (this.#closed) return;
    // Who waits for the bucket was told, unless only a login is lacking: then it is saved after it.
    const isPromised = this.#accepted.has(node);
    if (!isPromised && isLoginEnd(error)) this.#queue.add(node);
    // Whose close was told that it is safe has no one to tell: it waits until it is allowed.
    if (!isPromised && isRefusal(error)) this.#queue.done(node, false);
    else this.#queue.failed(node, error);
  }

  async ended(node: FileNode): Promise<void> {
    this.#queue.done(node, false);
    await this.#forget(node);
  }

  /**
   * `node` has another name, or what it replaces is another version, or may be gone: the intent
   * follows. Until then
   * a crash finds it as it was.
   */
  async moved(node: FileNode): Promise<void> {
    const accepted = this.#accepted.get(node);
    if (accepted?.noted.intent.kind !== 'save') return;
    const { intent } = accepted.noted;
    const { bytes, metadata, content, extents, sent = [], acceptedMs, renewals = 0 } = intent;
    const { store, key } = filePlaceOf(node);
    const { base, exclusive = false, mayBeGone = false } = node.staged ?? {};
    await accepted.noted.change({
      ...{ kind: 'save', bucket: store.bucket, key, exclusive },
      ...(base !== undefined && { base }),
      ...(sent.length > 0 && { sent }),
      ...(mayBeGone && { mayBeGone }),
      ...{ bytes, metadata, content, extents, acceptedMs },
      ...(renewals > 0 && { renewals }),
    });
  }

  /** Else a crash would find zeros where the file named by the intent was cut. */
  async shrinking(node: FileNode, bytes: number): Promise<void> {
    const noted = this.#accepted.get(node)?.noted;
    const intent = noted?.intent;
    if (intent?.kind !== 'save' || intent.content === 'inline' || intent.bytes <= bytes) return;
    const extents = ExtentMap.decode(intent.extents, intent.bytes);
    extents.truncate(bytes);
    await noted?.change({ ...intent, bytes, extents: extents.encode() });
  }

  /** The same of all that was accepted below `directory`. */
  async movedBelow(directory: DirectoryNode): Promise<void> {
    for (const node of this.nodes) {
      if (node.parent !== undefined && isWithin(node.parent, directory)) await this.moved(node);
    }
  }

  /** The name of `node` was taken away by a program: it must never come back. */
  unlinked(node: FileNode): void {
    if (!this.#queue.has(node) && !this.#accepted.has(node)) return;
    this.#queue.done(node, false);
    this.#background.start(async (signal) => {
      await this.#parts.save(node, signal);
    });
    // Written before the first wait, so before unlink(2) returns.
    this.#forget(node).catch((error: unknown) => {
      this.#parts.log.warn('intent-not-forgotten', { name: node.name, error });
    });
  }

  /** Ends saving. What was accepted stays in the journal. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#background[Symbol.asyncDispose]();
    await this.#queue[Symbol.asyncDispose]();
  }

  get #oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const { acceptedMs } of this.#accepted.values()) {
      if (oldest === undefined || acceptedMs < oldest) oldest = acceptedMs;
    }
    return oldest;
  }

  async #note(
    journal: NonNullable<WriteBackParts['journal']>,
    node: FileNode,
    staged: StagedFile,
  ): Promise<void> {
    const before = this.#accepted.get(node);
    // The file of an earlier life, whose intent is forgotten: the journal of this one is to name it.
    const isNamed = [journal.folder, before?.folder].includes(dirname(staged.path));
    if (!isNamed) await staged.moveInto(journal.folder);
    const { content, base, ...record } = await staged.record();
    const { store, key } = filePlaceOf(node);
    if (before !== undefined && staged.sentBefore) await rememberSent(staged, before.noted);
    const sent = staged.sent.flatMap((each) => sentIntent(each, sortOf(each))).slice(-MOST_SENT);
    const acceptedMs = before?.acceptedMs ?? this.#parts.clock.now();
    const isInline = 'inline' in content;
    const folder = isInline ? journal.folder : dirname(content.file);
    const isSame = before?.folder === folder;
    // Of an earlier life, whose journal is another: until that forgets it, both have one.
    const renewals = renewalsOf(before) + (before === undefined || isSame ? 0 : 1);
    const intent: SaveIntent = {
      ...record,
      ...(base !== undefined && { base }),
      kind: 'save',
      bucket: store.bucket,
      key,
      metadata: this.#parts.metadataOf(node),
      content: isInline ? 'inline' : { file: basename(content.file) },
      ...(sent.length > 0 && { sent }),
      ...(staged.mayBeGone && { mayBeGone: true }),
      acceptedMs,
      ...(renewals > 0 && { renewals }),
    };
    const inline = isInline ? [content.inline] : [];
    if (isSame) await before.noted.change(intent, inline);
    const noted = isSame ? before.noted : await journal.note(intent, inline);
    this.#keep(node, { noted, folder, bytes: record.bytes, acceptedMs });
    // A directory above may have moved while this waited for the disk.
    if (filePlaceOf(node).key !== key) await this.moved(node);
    if (!isSame) await before?.noted.forget();
    this.#parts.room.took(record.bytes);
  }

  #keep(node: FileNode, accepted: Accepted): void {
    this.#bytes += accepted.bytes - (this.#accepted.get(node)?.bytes ?? 0);
    this.#accepted.set(node, accepted);
    const { staged } = node;
    if (staged === undefined) return;
    staged.beforeSending = async (sent) => await this.#sending(node, staged, sent);
  }

  /** Without the note a crash may make a conflict of what was sent: that is put aside, not lost. */
  async #sending(node: FileNode, staged: StagedFile, present: SentContent): Promise<void> {
    // What came after it was accepted says nothing of what that took from its base.
    await this.#noteSent(node, present, staged.isAccepted ? 'present' : 'other');
  }

  /** `node` is about to be replaced by a copy of `other`: to find that there is no conflict. */
  async replacing(node: FileNode, other: ObjectVersion): Promise<void> {
    await this.#noteSent(node, other, 'other');
  }

  async #noteSent(node: FileNode, one: SentContent, sort: SortOfSent): Promise<void> {
    const noted = this.#accepted.get(node)?.noted;
    if (noted?.intent.kind !== 'save') return;
    const { sent: before = [] } = noted.intent;
    const others = before.filter((each) => !isSameSent(each, one));
    const sent = [...others, ...sentIntent(one, sort)].slice(-MOST_SENT);
    try {
      await noted.change({ ...noted.intent, sent });
    } catch (error) {
      this.#parts.log.warn('sending-not-noted', { name: node.name, error });
    }
  }

  async #forget(node: FileNode): Promise<void> {
    const accepted = this.#accepted.get(node);
    if (accepted === undefined) return;
    this.#bytes -= accepted.bytes;
    this.#accepted.delete(node);
    await accepted.noted.forget();
  }
}

/**
 * What an earlier life had accepted, and may have sent, is about to be forgotten for a later
 * content. What is long, or in part its base's, is not told again in the bucket: then the later
 * content is put aside, as after somebody else's change.
 */
async function rememberSent(staged: StagedFile, noted: NotedIntent): Promise<void> {
  const whole = await wholeContent(noted);
  if (whole !== undefined) staged.mayHaveBeenStored(sentInOne(whole));
}

function renewalsOf(accepted: Accepted | undefined): number {
  const intent = accepted?.noted.intent;
  return intent?.kind === 'save' ? (intent.renewals ?? 0) : 0;
}

/** Nothing where it could not be known again. */
function sentIntent({ bytes, etag }: SentContent, sort: SortOfSent): readonly SentIntent[] {
  if (etag === undefined) return [];
  const isPresent = sort === 'present';
  return [{ bytes, etag, isPresent, ...(sort === 'other' && { isOther: true }) }];
}

/** Of content that was sent before what is accepted now. */
function sortOf({ changes }: Doubt): SortOfSent {
  return changes === 'other' ? 'other' : 'earlier';
}
