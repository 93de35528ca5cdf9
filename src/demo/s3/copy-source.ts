/** The object that `x-amz-copy-source` names. */

import type { Call } from './call.ts';
import { decode } from './canonical-request.ts';
import { checkCopySource } from './conditions.ts';
import { S3Error } from './errors.ts';
import { findVersion } from './find-version.ts';
import { storedKey } from './key-rules.ts';
import type { StoredObject } from './stored-object.ts';

/**
 * The source of a CopyObject or UploadPartCopy, which the caller may read and whose conditions
 * hold.
 *
 * @throws S3Error
 */
export function readCopySource(call: Call): StoredObject {
  const [path = '', version] = (call.header('x-amz-copy-source') ?? '').split('?versionId=');
  const text = decode(path).replace(/^\//, '');
  const slash = text.indexOf('/');
  if (slash <= 0 || slash === text.length - 1) {
    throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key');
  }
  const bucket = text.slice(0, slash);
  const key = storedKey(text.slice(slash + 1), call.quirks);
  const action = version === undefined ? 's3:GetObject' : 's3:GetObjectVersion';
  call.require(action, { bucket, key });
  const source = findVersion(call, version, bucket, key);
  checkCopySource(call.header, source, call.quirks.conditions.copySource);
  return source;
}
