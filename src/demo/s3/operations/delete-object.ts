/** DeleteObject and DeleteObjects. */
import type { Bucket } from '../bucket.ts';
import { type Call, type Reply, withVersion, xmlReply } from '../call.ts';
import { checkDelete } from '../conditions.ts';
import { S3Error } from '../errors.ts';
import { checkKey, storedKey } from '../key-rules.ts';
import { children, childText, element, parseXml, type XmlElement, xmlDocument } from '../xml.ts';

/** S3's limit for one request. */
const MAX_KEYS = 1000;

export function deleteObject(call: Call): Reply {
  const versionId = call.query.get('versionId');
  call.require(versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion');
  checkKey(call.key, call.quirks);
  const { bucket } = call;
  if (call.quirks.conditions.remove) checkDelete(call.header, bucket.get(call.key));
  const deletion =
    versionId === undefined
      ? bucket.delete(call.key, call.now)
      : bucket.deleteVersion(call.key, versionId);
  const headers = deletion.isMarker ? { 'x-amz-delete-marker': 'true' } : {};
  return withVersion({ status: 204, headers }, deletion.versionId);
}

/** Each key is asked of policy on its own; the answer is 200 whatever became of them. */
export async function deleteObjects(call: Call): Promise<Reply> {
  const { bucketName } = call;
  const text = await call.body.text();
  const root = parseXml(text, 'Delete');
  const objects = children(root, 'Object');
  if (objects.length === 0 || objects.length > MAX_KEYS) throw new S3Error('MalformedXML');
  const bucket = call.store.buckets.find(bucketName);
  const mayAny = objects.some((each) => mayDelete(call, childText(each, 'Key') ?? ''));
  if (bucket === undefined) throw new S3Error(mayAny ? 'NoSuchBucket' : 'AccessDenied');
  const quiet = childText(root, 'Quiet') === 'true';
  let xml = '';
  for (const each of objects) {
    const key = childText(each, 'Key') ?? '';
    const refusal = deleteOne(call, bucket, each);
    if (refusal !== undefined) {
      xml += `<Error>${element('Key', key)}${element('Code', refusal.code)}${element('Message', refusal.message)}</Error>`;
    } else if (!quiet) {
      xml += `<Deleted>${element('Key', key)}</Deleted>`;
    }
  }
  return xmlReply(xmlDocument('DeleteResult', xml));
}

function mayDelete(call: Call, key: string): boolean {
  return call.may('s3:DeleteObject', { bucket: call.bucketName, key: storedKey(key, call.quirks) });
}

function deleteOne(call: Call, bucket: Bucket, entry: XmlElement): S3Error | undefined {
  const name = childText(entry, 'Key') ?? '';
  const etag = childText(entry, 'ETag');
  const versionId = childText(entry, 'VersionId');
  const key = storedKey(name, call.quirks);
  try {
    if (!mayDelete(call, name)) throw new S3Error('AccessDenied');
    checkKey(key, call.quirks);
    if (call.quirks.conditions.remove) {
      checkDelete((header) => (header === 'if-match' ? etag : undefined), bucket.get(key));
    }
    if (versionId === undefined) bucket.delete(key, call.now);
    else bucket.deleteVersion(key, versionId);
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}
