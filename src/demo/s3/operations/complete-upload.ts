/** CompleteMultipartUpload: the object is the list of its parts, no byte is copied. */
import { createHash } from 'node:crypto';
import { type Call, type Reply, withVersion, xmlReply } from '../call.ts';
import { type Checksum, checksumHeader, checksumNames, joinChecksums } from '../checksums.ts';
import { checkWrite } from '../conditions.ts';
import { S3Error } from '../errors.ts';
import { discardUpload, type Part, type Upload } from '../multipart.ts';
import { Content } from '../object-data.ts';
import { children, childText, element, parseXml, type XmlElement, xmlDocument } from '../xml.ts';
import { findUpload } from './upload-parts.ts';

/** S3's limit for all parts but the last. */
const MIN_PART_BYTES = 5 * 1024 * 1024;

export async function completeMultipartUpload(call: Call): Promise<Reply> {
  call.require('s3:PutObject');
  const { bucket, key, quirks } = call;
  const checkConditions = (): void => {
    if (quirks.conditions.complete) checkWrite(call.header, bucket.get(key), quirks);
  };
  const document = await call.body.text();
  if (quirks.completeChecksConditionFirst && bucket.get(key) !== undefined) checkConditions();
  const upload = findUpload(call, quirks.completeUnknownUpload);
  const listed = children(parseXml(document, 'CompleteMultipartUpload'), 'Part');
  const parts = chooseParts(upload, listed, quirks.completeRepeatsChecksums);
  const checksum = joinedChecksum(call, upload, parts);
  checkConditions();
  const md5s = Buffer.from(parts.map((part) => part.etag).join(''), 'hex');
  const etag = `${createHash('md5').update(md5s).digest('hex')}-${parts.length}`;
  const versionId = bucket.put({
    key,
    content: Content.concat(parts.map((part) => part.content)),
    etag,
    modifiedMs: call.now,
    headers: upload.headers,
    partBytes: parts.map((part) => part.content.size),
    ...(checksum && { checksum }),
  });
  bucket.uploads.delete(upload.id);
  discardUpload(upload);
  const reply = xmlReply(
    xmlDocument(
      'CompleteMultipartUploadResult',
      element('Location', `/${bucket.name}/${key}`) +
        element('Bucket', bucket.name) +
        element('Key', key) +
        element('ETag', quirks.completeTellsEtag ? `"${etag}"` : '') +
        (checksum
          ? element(`Checksum${checksum.name}`, checksum.value) +
            element('ChecksumType', checksum.type)
          : ''),
    ),
  );
  return withVersion(reply, versionId);
}

function chooseParts(upload: Upload, listed: readonly XmlElement[], repeats: boolean): Part[] {
  if (listed.length === 0) throw new S3Error('MalformedXML');
  let previous = 0;
  const parts = listed.map((entry) => {
    const number = Number(childText(entry, 'PartNumber'));
    if (number <= previous) throw new S3Error('InvalidPartOrder');
    previous = number;
    const part = upload.parts.get(number);
    const etag = (childText(entry, 'ETag') ?? '').trim().replace(/^"(.*)"$/, '$1');
    if (part?.etag !== etag) throw new S3Error('InvalidPart');
    checkRepeated(part, entry, repeats && upload.algorithm !== undefined);
    return part;
  });
  if (parts.slice(0, -1).some((part) => part.content.size < MIN_PART_BYTES)) {
    throw new S3Error('EntityTooSmall');
  }
  return parts;
}

/** A checksum the client repeats has to be the part's; `required`: it has to repeat it. */
function checkRepeated({ checksum }: Part, entry: XmlElement, required: boolean): void {
  for (const name of checksumNames) {
    const repeated = childText(entry, `Checksum${name}`);
    const expected = checksum?.name === name ? checksum.value : undefined;
    const isWrong = repeated !== undefined && expected !== undefined && repeated !== expected;
    if (isWrong || (required && repeated !== expected)) throw new S3Error('InvalidPart');
  }
}

function joinedChecksum(call: Call, upload: Upload, parts: readonly Part[]): Checksum | undefined {
  const { algorithm } = upload;
  if (algorithm === undefined) return undefined;
  const checked = parts.map(({ content, checksum }) => {
    if (checksum?.name !== algorithm.name)
      throw new S3Error('InvalidRequest', 'A part has no checksum.');
    return { size: content.size, checksum };
  });
  const joined = joinChecksums(algorithm.name, algorithm.type, checked);
  const expected = call.header(checksumHeader(algorithm.name));
  // With the number of parts or without it.
  if (
    expected !== undefined &&
    expected !== joined.value &&
    expected !== joined.value.split('-')[0]
  ) {
    throw new S3Error(call.quirks.wrongChecksum);
  }
  return joined;
}
