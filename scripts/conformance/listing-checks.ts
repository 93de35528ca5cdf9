/** Listings, and the deletion of many keys at once. */
import {
  DeleteObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { type Check, type Checks, expect, expectRefusal, expectText } from './check.ts';
import type { Target } from './target.ts';

type Query = Omit<ListObjectsV2CommandInput, 'Bucket'>;

async function list(
  target: Target,
  query: Query,
  signal: AbortSignal,
): Promise<ListObjectsV2CommandOutput> {
  const command = new ListObjectsV2Command({ ...query, Bucket: target.bucket });
  return await target.client.send(command, { abortSignal: signal });
}

/** Keys of the first page. */
export async function listKeys(
  target: Target,
  query: Query,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return keysOf(await list(target, query, signal));
}

function keysOf({ Contents: contents = [] }: ListObjectsV2CommandOutput): readonly string[] {
  return contents.map(({ Key: key = '' }) => key);
}

function prefixesOf(page: ListObjectsV2CommandOutput): readonly string[] {
  return (page.CommonPrefixes ?? []).map(({ Prefix: prefix = '' }) => prefix);
}

/** Every check stores what it lists: none leans on the one before. */
async function store(target: Target, keys: readonly string[], signal: AbortSignal): Promise<void> {
  for (const key of keys) await target.put(key, 'x', {}, signal);
}

const tree = ['list/1', 'list/2/x', 'list/2/y', 'list/3/z'];

const delimiterFolds: Check = async (target, signal) => {
  await store(target, tree, signal);
  const page = await list(target, { Prefix: 'list/', Delimiter: '/' }, signal);
  expectText(keysOf(page).join(), 'list/1');
  expectText(prefixesOf(page).join(), 'list/2/,list/3/');
};

const pagesCountPrefixes: Check = async (target, signal) => {
  await store(target, tree, signal);
  const names: string[] = [];
  let next: string | undefined;
  // Three names need three pages; a fourth may be empty, a tenth is a loop.
  for (let pages = 0; pages < 10; pages += 1) {
    const query = { Prefix: 'list/', Delimiter: '/', MaxKeys: 1, ContinuationToken: next };
    const page = await list(target, query, signal);
    names.push(...keysOf(page), ...prefixesOf(page));
    next = page.NextContinuationToken;
    if (next === undefined) break;
  }
  expectText(names.join(), 'list/1,list/2/,list/3/');
};

const startAfterSkips: Check = async (target, signal) => {
  await store(target, tree, signal);
  const keys = await listKeys(target, { Prefix: 'list/', StartAfter: 'list/2/x' }, signal);
  expectText(keys.join(), 'list/2/y,list/3/z');
};

const keysComeInByteOrder: Check = async (target, signal) => {
  const keys = ['order/B', 'order/a', 'order/a-b', 'order/a/b', 'order/é'];
  await store(target, keys.toReversed(), signal);
  expectText((await listKeys(target, { Prefix: 'order/' }, signal)).join(), keys.join());
};

const urlEncodingIsAnswered: Check = async (target, signal) => {
  const query = { Prefix: 'list/', EncodingType: 'url' } as const;
  const { EncodingType: encoding } = await list(target, query, signal);
  expectText(encoding, 'url');
};

const manyAreDeleted: Check = async (target, signal) => {
  await store(target, ['delete/one'], signal);
  const command = new DeleteObjectsCommand({
    Bucket: target.bucket,
    Delete: { Objects: [{ Key: 'delete/one' }, { Key: 'delete/missing' }] },
  });
  const reply = await target.client.send(command, { abortSignal: signal });
  expect(reply.Deleted?.length === 2, `deleted ${reply.Deleted?.length ?? 0} of 2`);
  expectText((await listKeys(target, { Prefix: 'delete/' }, signal)).join(), '');
};

const missingBucketIsNamed: Check = async (target, signal) => {
  const command = new ListObjectsV2Command({ Bucket: `${target.bucket}-missing` });
  await expectRefusal(target.client.send(command, { abortSignal: signal }), 'NoSuchBucket');
};

export const listingChecks: Checks = {
  'delimiter folds into common prefixes': delimiterFolds,
  'pages of one key, prefixes counted': pagesCountPrefixes,
  'StartAfter skips': startAfterSkips,
  'keys in UTF-8 byte order': keysComeInByteOrder,
  'encoding-type=url is answered': urlEncodingIsAnswered,
  'DeleteObjects, a missing key too': manyAreDeleted,
  'missing bucket: NoSuchBucket': missingBucketIsNamed,
};
