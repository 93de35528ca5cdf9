/** GetObject and HeadObject. */
import type { Extent } from '../../../lib/bytes.ts';
import type { Call, Reply } from '../call.ts';
import { isNotModified } from '../conditions.ts';
import { S3Error } from '../errors.ts';
import { findVersion } from '../find-version.ts';
import { checkKey } from '../key-rules.ts';
import { checksumHeaders, describingHeaders } from '../object-headers.ts';
import { contentRange, requestedExtent } from '../range.ts';
import type { StoredObject } from '../stored-object.ts';

export function getObject(call: Call): Reply {
  const reply = describe(call);
  if (typeof reply.body === 'object') reply.body.content.retain();
  return reply;
}

/** As GetObject; that nothing is sent is HTTP's doing. */
export function headObject(call: Call): Reply {
  const { status, headers = {} } = describe(call);
  return { status, headers };
}

function describe(call: Call): Reply {
  const versionId = call.query.get('versionId');
  call.require(versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion');
  checkKey(call.key, call.quirks);
  const object = findVersion(call, versionId);
  const headers = describingHeaders(object, call);
  if (isNotModified(call.header, object)) {
    const { etag = '', 'last-modified': modified = '' } = headers;
    return { status: 304, headers: { etag, 'last-modified': modified } };
  }
  const { size } = object.content;
  const part = call.query.get('partNumber');
  const extent =
    part === undefined
      ? requestedExtent(call.header('range'), size, call.quirks)
      : partExtent(object, Number(part));
  const sent = extent ?? { start: 0, end: size };
  const body = { content: object.content, extent: sent };
  return {
    status: extent === undefined ? 200 : 206,
    headers: {
      ...headers,
      'content-length': sent.end - sent.start,
      ...(extent !== undefined && { 'content-range': contentRange(extent, size) }),
      ...(part !== undefined &&
        object.partBytes !== undefined && { 'x-amz-mp-parts-count': object.partBytes.length }),
      ...(extent === undefined &&
        call.header('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED' &&
        checksumHeaders(object.checksum)),
    },
    body,
  };
}

function partExtent(object: StoredObject, number: number): Extent {
  const sizes = object.partBytes ?? [object.content.size];
  const bytes = sizes[number - 1];
  if (bytes === undefined) throw new S3Error('InvalidPartNumber');
  const start = sizes.slice(0, number - 1).reduce((sum, size) => sum + size, 0);
  return { start, end: start + bytes };
}
