/**
 * Ends what a mount that died had begun with names. The two sides of a move are gone through next
 * to each other, in the order of their keys: an object is deleted only where its twin, the same
 * content under the other name, is there. What somebody else has made or changed since stays.
 */
import { inParallel } from '../lib/in-parallel.ts';
import type { Log } from '../lib/log.ts';
import { isSameEtag } from '../store/etag.ts';
import { compareKeys } from '../store/keys.ts';
import type { ObjectStore, ObjectSummary } from '../store/object-store.ts';
import { objectsBelow } from '../store/objects-below.ts';
import { deleteSurely, deleteVersion } from './deletes.ts';
import type { DeleteIntent, MoveIntent } from './journal/intents.ts';

/** Deletes under way at once. */
const PARALLEL = 16;

/**
 * Deletes what was unlinked, if that version is there still.
 *
 * @throws StoreError: then it is to be tried again.
 */
export async function finishDelete(
  store: ObjectStore,
  { key, etag }: DeleteIntent,
  signal: AbortSignal,
): Promise<void> {
  await deleteVersion(store, key, etag, signal);
}

/**
 * Takes a move back whose copies may not all be there, or completes one whose were.
 *
 * @throws StoreError: then it is to be tried again.
 */
export async function finishMove(
  store: ObjectStore,
  intent: MoveIntent,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const { from, to, stage } = intent;
  let [deleted, left] = [0, 0];
  await inParallelOf(pairs(store, from, to, signal), async ({ old, copy }) => {
    signal.throwIfAborted();
    // What is there under one name alone is no part of the move, or done already.
    if (old === undefined || copy === undefined) return;
    const isKept = stage === 'copying' && copy.key === to && intent.hadMarker === true;
    if (isKept) return;
    const isOurs = isTwin(old, copy) || (stage === 'deleting' && isLaterTwin(old, copy));
    if (!isOurs) left += 1;
    else {
      deleted += 1;
      await deleteSurely(store, stage === 'copying' ? copy.key : old.key);
    }
  });
  log.info('move-finished', { from, to, stage, deleted });
  // Both names hold something, and nobody can tell which of them is wanted.
  if (left > 0) log.error('move-left', { from, to, stage, keys: left });
}

interface Pair {
  readonly old: ObjectSummary | undefined;
  readonly copy: ObjectSummary | undefined;
}

/** What is below both prefixes, by the rest of its key. */
async function* pairs(
  store: ObjectStore,
  from: string,
  to: string,
  signal: AbortSignal,
): AsyncGenerator<Pair> {
  const left = objectsBelow(store, from, signal);
  const right = objectsBelow(store, to, signal);
  let [old, copy] = [await next(left), await next(right)];
  while (old !== undefined || copy !== undefined) {
    const order =
      old === undefined
        ? 1
        : copy === undefined
          ? -1
          : compareKeys(old.key.slice(from.length), copy.key.slice(to.length));
    yield { old: order <= 0 ? old : undefined, copy: order >= 0 ? copy : undefined };
    if (order <= 0) old = await next(left);
    if (order >= 0) copy = await next(right);
  }
}

async function next(objects: AsyncGenerator<ObjectSummary>): Promise<ObjectSummary | undefined> {
  const result: IteratorResult<ObjectSummary, unknown> = await objects.next();
  return result.done === true ? undefined : result.value;
}

/** Whether `copy` is what a copy on the server makes of `old`. */
function isTwin(old: ObjectSummary, copy: ObjectSummary): boolean {
  if (old.bytes !== copy.bytes) return false;
  // The ETag of an upload in parts tells of the parts, and a copy may be made in others, or in one.
  return isSameEtag(old.etag, copy.etag) || isOfParts(old.etag) || isOfParts(copy.etag);
}

/** The same where ETags tell nothing of the content (KMS): nobody has changed `old` since. */
function isLaterTwin(old: ObjectSummary, copy: ObjectSummary): boolean {
  return old.bytes === copy.bytes && old.modifiedMs < copy.modifiedMs;
}

/** S3: `<MD5 of the parts' MD5s>-<number of parts>` */
function isOfParts(etag: string): boolean {
  return /-\d+"?$/.test(etag);
}

/** Some pairs at a time: there may be very many. */
async function inParallelOf(
  items: AsyncIterable<Pair>,
  work: (item: Pair) => Promise<void>,
): Promise<void> {
  let some: Pair[] = [];
  for await (const item of items) {
    some.push(item);
    if (some.length < PARALLEL) continue;
    await inParallel(some, PARALLEL, work);
    some = [];
  }
  await inParallel(some, PARALLEL, work);
}
