/** CopyObject: the copy shares the source's bytes and has its ETag. */
import { type Call, type Reply, withVersion, xmlReply } from '../call.ts';
import { checkWrite } from '../conditions.ts';
import { readCopySource } from '../copy-source.ts';
import { S3Error } from '../errors.ts';
import { checkKey } from '../key-rules.ts';
import { Content } from '../object-data.ts';
import { keptHeaders } from '../object-headers.ts';
import { element, xmlDocument } from '../xml.ts';

/** S3's limit for a copy in one request. */
const MAX_COPY_BYTES = 5 * 1024 ** 3;

export function copyObject(call: Call): Reply {
  call.require('s3:PutObject');
  checkKey(call.key, call.quirks);
  const { bucket, key, now: modifiedMs } = call;
  const source = readCopySource(call);
  const replaces = call.header('x-amz-metadata-directive')?.toUpperCase() === 'REPLACE';
  const ontoItself = bucket.get(key) === source;
  if (ontoItself && !replaces && call.header('x-amz-storage-class') === undefined) {
    throw new S3Error('InvalidRequest', 'A copy onto itself has to change something.');
  }
  if (source.content.size > MAX_COPY_BYTES) throw new S3Error('InvalidRequest');
  if (call.quirks.conditions.copyTarget) checkWrite(call.header, bucket.get(key), call.quirks);
  const content = Content.concat([source.content]);
  let versionId: string | undefined;
  try {
    const headers = replaces ? keptHeaders(call) : source.headers;
    const { etag, checksum, partBytes } = source;
    versionId = bucket.put({
      ...{ key, content, etag, modifiedMs, headers },
      ...(checksum && { checksum }),
      ...(partBytes && { partBytes }),
    });
  } catch (error) {
    content.release();
    throw error;
  }
  const reply = xmlReply(
    xmlDocument(
      'CopyObjectResult',
      element('ETag', `"${source.etag}"`) +
        element('LastModified', new Date(modifiedMs).toISOString()),
    ),
  );
  return withVersion(reply, versionId);
}
