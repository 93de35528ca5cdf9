/** PutObject. */
import { type Call, type Reply, withVersion } from '../call.ts';
import { checkWrite } from '../conditions.ts';
import { S3Error } from '../errors.ts';
import { checkKey } from '../key-rules.ts';
import { checksumHeaders, keptHeaders } from '../object-headers.ts';

export async function putObject(call: Call): Promise<Reply> {
  call.require('s3:PutObject');
  checkKey(call.key, call.quirks);
  const { bucket, key } = call;
  if (call.header('x-amz-write-offset-bytes') !== undefined) throw new S3Error('BadRequest');
  const kept = keptHeaders(call);
  // Early, so that a refused body need not be sent; again below, since others write meanwhile.
  checkWrite(call.header, bucket.get(key), call.quirks);
  const { content, md5Hex, checksum } = await call.body.keep(call.store.blobs);
  let versionId: string | undefined;
  try {
    checkWrite(call.header, call.bucket.get(key), call.quirks);
    versionId = call.bucket.put({
      key,
      content,
      etag: md5Hex,
      modifiedMs: call.now,
      headers: kept,
      ...(checksum && { checksum }),
    });
  } catch (error) {
    content.release();
    throw error;
  }
  const headers = { etag: `"${md5Hex}"`, ...checksumHeaders(checksum) };
  return withVersion({ status: 200, headers }, versionId);
}
