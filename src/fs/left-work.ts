/**
 * What lives of the same source and identity have promised and not done: it is done now. Moves of
 * directories come first, since they say where the files are that are to be saved; then the files
 * are shown with their content, and saved in the background; then the rest is seen to.
 *
 * Of another identity nothing is touched: nobody's bytes are sent with somebody else's token. What
 * is in doubt is put aside for a person.
 */
import { access, mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type {
  DeleteIntent,
  Intent,
  MoveIntent,
  NotedIntent,
  SaveIntent,
  UploadIntent,
} from './journal/intents.ts';
import { deadLives, gatherLeft, lifeIn } from './journal/left-lives.ts';
import { isSameOwner, type Life } from './journal/life.ts';
import { type LeftIntent, type LoadedJournal, loadJournal } from './journal/loaded-journal.ts';
import { isSegmentName } from './journal/segment-row.ts';
import { newLeftName, newOwnerName } from './staging-owner.ts';

/** What is done with each kind of promise. */
export interface LeftWorkParts {
  readonly life: Life;
  readonly stagingDir: string;
  readonly storeOf: (bucket: string) => ObjectStore | undefined;
  /** Shows the file and has it saved. `folder` is where its content is, unless it is inline. */
  readonly adopt: (noted: NotedIntent, intent: SaveIntent, folder: string) => Promise<void>;
  /** Puts the content aside for a person. */
  readonly keep: (noted: NotedIntent, intent: SaveIntent, folder: string) => Promise<void>;
  readonly finishMove: (store: ObjectStore, move: MoveIntent, signal: AbortSignal) => Promise<void>;
  /** Hides what was unlinked until it is deleted. */
  readonly hide: (noted: NotedIntent, gone: DeleteIntent) => void;
  /** False: whoever hides it goes on trying, and forgets the intent. */
  readonly finishDelete: (
    store: ObjectStore,
    gone: DeleteIntent,
    signal: AbortSignal,
  ) => Promise<boolean>;
  /** False: the next mount should look again. */
  readonly giveUpUpload: (
    store: ObjectStore,
    upload: UploadIntent,
    signal: AbortSignal,
  ) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Left extends LeftIntent {
  readonly folder: string;
}

export class LeftWork implements AsyncDisposable {
  readonly #parts: LeftWorkParts;
  readonly #journals: LoadedJournal[] = [];

  constructor(parts: LeftWorkParts) {
    this.#parts = parts;
  }

  /**
   * Takes over what dead lives of the same source and identity have left, here and at other places,
   * and shows all files that are to be saved, at the names that they have by now. Never fails: what
   * cannot be shown stays in its journal.
   */
  async takeUp(): Promise<void> {
    const { stagingDir, life, log } = this.#parts;
    try {
      await gatherLeft(stagingDir, life);
      for (const folder of await deadLives(stagingDir)) {
        const left = await lifeIn(folder);
        if (left === undefined || !isSameOwner(left, life)) continue;
        await this.#takeOver(folder).catch((error: unknown) => {
          log.error('left-not-taken-up', { error });
        });
      }
      await this.#showAll();
    } catch (error) {
      log.error('left-not-taken-up', { error });
    }
  }

  /**
   * Does the rest, and says whether objects have moved or gone by that. Never fails: what the store
   * does not take now is tried by the next mount.
   */
  async finish(signal: AbortSignal): Promise<boolean> {
    let hasChanged = false;
    for (const kind of ['move', 'delete', 'upload'] as const) {
      for (const { noted } of this.#left(kind)) {
        const { intent } = noted;
        const store = this.#parts.storeOf(intent.bucket);
        if (store === undefined || signal.aborted) continue;
        try {
          const isDone = await this.#finish(store, intent, signal);
          hasChanged ||= kind !== 'upload';
          if (isDone) await noted.forget();
        } catch (error) {
          this.#parts.log.warn('left-not-finished', { kind, error });
        }
      }
    }
    return hasChanged;
  }

  /** What is left stays where the next mount finds it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { journal } of this.#journals) {
      await journal[Symbol.asyncDispose]();
      await leaveFolder(journal.folder);
    }
    this.#journals.length = 0;
  }

  *#left(kind: Intent['kind']): Generator<Left> {
    for (const { intents, journal } of this.#journals) {
      for (const each of intents) {
        if (each.noted.intent.kind === kind) yield { ...each, folder: journal.folder };
      }
    }
  }

  async #takeOver(left: string): Promise<void> {
    const { stagingDir, clock, log, life } = this.#parts;
    const folder = join(stagingDir, newOwnerName());
    // Of several mounts that try only one succeeds.
    if (!(await isMoved(left, folder))) return;
    const loaded = await loadJournal({ folder, durable: false, clock, log, boot: life.boot });
    if (loaded === undefined) return;
    this.#journals.push(loaded);
    for (const path of loaded.damaged) log.error('journal-damaged', { path });
    await this.#leaveStrays(folder, loaded);
  }

  /** What no intent needs is left as every mount leaves it: the next step looks after it. */
  async #leaveStrays(folder: string, { intents }: LoadedJournal): Promise<void> {
    const needed = new Set(intents.flatMap(({ noted }) => namesOf(noted.intent)));
    const isStray = (name: string): boolean => !needed.has(name) && !isSegmentName(name);
    const strays = (await readdir(folder)).filter(isStray);
    if (strays.length === 0) return;
    const other = join(this.#parts.stagingDir, newLeftName());
    await mkdir(other, { mode: 0o700 });
    for (const name of strays) await rename(join(folder, name), join(other, name));
  }

  async #showAll(): Promise<void> {
    const saves = [...this.#left('save')];
    const earlier = superseded(saves);
    for (const { noted } of earlier) await noted.forget();
    for (const { noted } of this.#left('delete')) {
      if (noted.intent.kind === 'delete') this.#parts.hide(noted, noted.intent);
    }
    for (const each of saves) if (!earlier.has(each)) await this.#showOne(each);
  }

  async #showOne(left: Left): Promise<void> {
    const { noted } = left;
    const { intent } = noted;
    if (intent.kind !== 'save') return;
    try {
      await this.#show(left, await this.#moved(noted, intent));
    } catch (error) {
      this.#parts.log.error('left-not-shown', { key: intent.key, error });
    }
  }

  async #show({ noted, doubt, folder }: Left, intent: SaveIntent): Promise<void> {
    const { adopt, keep, storeOf, log } = this.#parts;
    if (storeOf(intent.bucket) === undefined) return;
    if (!(await isThere(folder, intent))) {
      // That life was putting it aside, or somebody has removed it.
      log.error('left-content-gone', { key: intent.key });
      await noted.forget();
    } else if (doubt === undefined) await adopt(noted, intent, folder);
    else {
      log.error('left-in-doubt', { key: intent.key, doubt });
      await keep(noted, intent, folder);
      await noted.forget();
    }
  }

  /** Where a directory above was on its way to another name, and all of it had arrived there. */
  async #moved(noted: NotedIntent, intent: SaveIntent): Promise<SaveIntent> {
    let moved = intent;
    for (const { noted: move } of this.#left('move')) {
      const { intent: to } = move;
      if (to.kind !== 'move' || to.stage !== 'deleting') continue;
      if (to.bucket !== moved.bucket || !moved.key.startsWith(to.from)) continue;
      moved = { ...moved, key: to.to + moved.key.slice(to.from.length) };
    }
    if (moved !== intent) await noted.change(moved);
    return moved;
  }

  /** False: something of it is left for the next mount. */
  async #finish(store: ObjectStore, intent: Intent, signal: AbortSignal): Promise<boolean> {
    const { finishMove, finishDelete, giveUpUpload } = this.#parts;
    if (intent.kind === 'move') await finishMove(store, intent, signal);
    else if (intent.kind === 'delete') return await finishDelete(store, intent, signal);
    else if (intent.kind === 'upload') return await giveUpUpload(store, intent, signal);
    return true;
  }
}

/** Earlier saves of a key that a later one is to replace: a crash came between two records. */
function superseded(saves: readonly Left[]): ReadonlySet<Left> {
  const latest = new Map<string, Left>();
  const earlier = new Set<Left>();
  for (const each of saves) {
    const { intent } = each.noted;
    if (intent.kind !== 'save') continue;
    const id = `${intent.bucket}/${intent.key}`;
    const known = latest.get(id);
    if (known !== undefined && isReplaced(each, known)) earlier.add(each);
    else {
      if (known !== undefined && isReplaced(known, each)) earlier.add(known);
      latest.set(id, each);
    }
  }
  return earlier;
}

/**
 * Whether `other`, which has the same key, was noted instead of `one`. In one journal they come in
 * that order. Of two journals one may be of another mount, which knew nothing of the other's.
 */
function isReplaced(one: Left, other: Left): boolean {
  const { intent } = one.noted;
  const { intent: later } = other.noted;
  if (intent.kind !== 'save' || later.kind !== 'save') return false;
  if (one.folder === other.folder) return true;
  const isSameFile = intent.acceptedMs === later.acceptedMs;
  return isSameFile && (intent.renewals ?? 0) < (later.renewals ?? 0);
}

/**
 * For who takes over what no journal tells of: the journals of others are left alone, with all that
 * lies beside them.
 */
export async function namesOfOthers(folder: string): Promise<ReadonlySet<string>> {
  if ((await lifeIn(folder)) === undefined) return new Set();
  const names = await readdir(folder);
  await rename(folder, join(dirname(folder), newLeftName()));
  return new Set(names);
}

async function isMoved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch {
    return false;
  }
}

/** Removes the folder of a life that has nothing left, or names it for the next mount to find. */
export async function leaveFolder(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch {
    await rename(folder, join(dirname(folder), newLeftName())).catch(() => undefined);
  }
}

/** Whether the content of `intent` is where it is to be: a life that ends may be moving it away. */
async function isThere(folder: string, { content }: SaveIntent): Promise<boolean> {
  if (content === 'inline') return true;
  try {
    await access(join(folder, content.file));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** Files in the folder of a journal that `intent` needs. */
function namesOf(intent: Intent): readonly string[] {
  if (intent.kind !== 'save' || intent.content === 'inline') return [];
  return [basename(intent.content.file)];
}
