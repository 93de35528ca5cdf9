/** The object a request reads: the current one, or the version it names. */

import type { Call } from './call.ts';
import { S3Error } from './errors.ts';
import type { StoredObject } from './stored-object.ts';
import { isMarker, NULL_VERSION } from './versions.ts';

/** @throws S3Error NoSuchBucket, NoSuchKey (or AccessDenied), NoSuchVersion, MethodNotAllowed */
export function findVersion(
  call: Call,
  versionId: string | undefined,
  bucket: string = call.bucketName,
  key: string = call.key,
): StoredObject {
  const from = call.store.buckets.get(bucket);
  if (versionId === undefined) {
    const object = from.get(key);
    if (object === undefined) throw call.missingKey(bucket);
    return object;
  }
  const version = from.versions(key).find((each) => (each.versionId ?? NULL_VERSION) === versionId);
  if (version === undefined) throw new S3Error('NoSuchVersion');
  if (isMarker(version)) throw new S3Error('MethodNotAllowed');
  return version;
}
