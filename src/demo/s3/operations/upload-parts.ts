/** CreateMultipartUpload, UploadPart, UploadPartCopy and AbortMultipartUpload. */
import { createHash, randomUUID } from 'node:crypto';
import type { Call, Reply } from '../call.ts';
import { xmlReply } from '../call.ts';
import { type Checksum, type ChecksumType, checksumNamed, startChecksum } from '../checksums.ts';
import { readCopySource } from '../copy-source.ts';
import { S3Error, type S3ErrorCode } from '../errors.ts';
import { checkKey } from '../key-rules.ts';
import { discardUpload, type Part, type Upload } from '../multipart.ts';
import type { Content } from '../object-data.ts';
import { checksumHeaders, keptHeaders } from '../object-headers.ts';
import { copyExtent } from '../range.ts';
import { element, xmlDocument } from '../xml.ts';

/** S3's limit. */
const MAX_PART_NUMBER = 10_000;

/** The upload a request names. @throws S3Error NoSuchBucket or `code` */
export function findUpload(call: Call, code: S3ErrorCode = 'NoSuchUpload'): Upload {
  const upload = call.bucket.uploads.get(call.query.get('uploadId') ?? '');
  if (upload?.key !== call.key) throw new S3Error(code);
  return upload;
}

export function createMultipartUpload(call: Call): Reply {
  call.require('s3:PutObject');
  checkKey(call.key, call.quirks);
  const { bucket, key } = call;
  const name = call.quirks.checksums
    ? checksumNamed(call.header('x-amz-checksum-algorithm'))
    : undefined;
  const type = call.header('x-amz-checksum-type')?.toUpperCase() ?? defaultType(name);
  const id = randomUUID().replaceAll('-', '');
  bucket.uploads.set(id, {
    id,
    key,
    startedMs: call.now,
    headers: keptHeaders(call),
    parts: new Map(),
    ...(name && { algorithm: { name, type: type as ChecksumType } }),
  });
  const xml = xmlDocument(
    'InitiateMultipartUploadResult',
    element('Bucket', bucket.name) + element('Key', key) + element('UploadId', id),
  );
  if (name === undefined) return xmlReply(xml);
  const headers = { 'x-amz-checksum-algorithm': name, 'x-amz-checksum-type': type };
  return { ...xmlReply(xml), headers: { 'content-type': 'application/xml', ...headers } };
}

/** CRC-64/NVME has no composite form. */
function defaultType(name: string | undefined): ChecksumType {
  return name === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
}

export async function uploadPart(call: Call): Promise<Reply> {
  call.require('s3:PutObject');
  findUpload(call);
  const number = partNumber(call);
  const { content, md5Hex, checksum } = await call.body.keep(call.store.blobs);
  try {
    const part = { number, content, etag: md5Hex, modifiedMs: call.now };
    addPart(call, { ...part, ...(checksum && { checksum }) });
  } catch (error) {
    content.release();
    throw error;
  }
  return { status: 200, headers: { etag: `"${md5Hex}"`, ...checksumHeaders(checksum) } };
}

/** Shares the source's bytes; they are read once for the part's ETag. */
export async function uploadPartCopy(call: Call): Promise<Reply> {
  call.require('s3:PutObject');
  const { algorithm } = findUpload(call);
  const number = partNumber(call);
  if (algorithm !== undefined && !call.quirks.copiesIntoChecksums) {
    throw new S3Error('InvalidArgument', `checksum missing, want ${algorithm.name}`);
  }
  const source = readCopySource(call);
  const extent = copyExtent(call.header('x-amz-copy-source-range'), source.content.size);
  const content = source.content.slice(extent);
  try {
    const { etag, checksum } = await digest(content, algorithm?.name);
    const modifiedMs = call.now;
    addPart(call, { number, content, etag, modifiedMs, ...(checksum && { checksum }) });
    const time = new Date(modifiedMs).toISOString();
    return xmlReply(
      xmlDocument(
        'CopyPartResult',
        element('LastModified', time) +
          element('ETag', `"${etag}"`) +
          (checksum ? element(`Checksum${checksum.name}`, checksum.value) : ''),
      ),
    );
  } catch (error) {
    content.release();
    throw error;
  }
}

async function digest(
  content: Content,
  name: Checksum['name'] | undefined,
): Promise<{ etag: string; checksum?: Checksum }> {
  const md5 = createHash('md5');
  const hash = name && startChecksum(name);
  for await (const piece of content.pieces({ start: 0, end: content.size })) {
    md5.update(piece);
    hash?.update(piece);
  }
  const etag = md5.digest('hex');
  if (name === undefined || hash === undefined) return { etag };
  const value = hash.digest().toString('base64');
  return { etag, checksum: { name, type: 'FULL_OBJECT', value } };
}

/** @throws S3Error NoSuchUpload when the upload ended while the part came in */
function addPart(call: Call, part: Part): void {
  const upload = findUpload(call);
  upload.parts.get(part.number)?.content.release();
  upload.parts.set(part.number, part);
}

function partNumber(call: Call): number {
  const number = Number(call.query.get('partNumber'));
  if (Number.isInteger(number) && number >= 1 && number <= MAX_PART_NUMBER) return number;
  throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000');
}

export function abortMultipartUpload(call: Call): Reply {
  call.require('s3:AbortMultipartUpload');
  const { bucket } = call;
  const upload = bucket.uploads.get(call.query.get('uploadId') ?? '');
  if (upload?.key === call.key) {
    bucket.uploads.delete(upload.id);
    discardUpload(upload);
  }
  return { status: 204 };
}
