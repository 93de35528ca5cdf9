/** The document that answers ListBuckets. What is not known is passed over. */
import type { BucketSummary } from '../store/object-store.ts';
import { readOnce, readTime } from './xml-fields.ts';
import { BadXmlError, XmlReader, xmlName } from './xml-reader.ts';

const ROOT = xmlName('ListAllMyBucketsResult');
const BUCKETS = xmlName('Buckets');
const BUCKET = xmlName('Bucket');
const NAME = xmlName('Name');
const CREATED = xmlName('CreationDate');

/** @throws BadXmlError when `document` is not a whole list of buckets, or none. */
export function readBucketList(document: Buffer): readonly BucketSummary[] {
  const reader = new XmlReader(document);
  if (!reader.enter() || !reader.is(ROOT)) throw new BadXmlError('another document');
  const buckets: BucketSummary[] = [];
  while (reader.enter()) {
    if (reader.is(BUCKETS)) readBuckets(reader, buckets);
    else reader.skip();
  }
  if (reader.enter()) throw new BadXmlError('two documents');
  return buckets;
}

function readBuckets(reader: XmlReader, buckets: BucketSummary[]): void {
  while (reader.enter()) {
    if (reader.is(BUCKET)) buckets.push(readBucket(reader));
    else reader.skip();
  }
}

function readBucket(reader: XmlReader): BucketSummary {
  let name: string | undefined;
  let createdMs: number | undefined;
  while (reader.enter()) {
    if (reader.is(NAME)) name = readOnce(name, reader.text());
    else if (reader.is(CREATED)) createdMs = readOnce(createdMs, readTime(reader.text()));
    else reader.skip();
  }
  if (name === undefined || name === '') throw new BadXmlError('a bucket without a name');
  return { name, createdMs: createdMs ?? 0 };
}
