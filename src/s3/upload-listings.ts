/** What a store lists of uploads that are under way, and of their parts. */
import type { ListedUpload, Upload, UploadedPart } from '../store/object-store.ts';
import type { S3Connection } from './s3-connection.ts';
import { encodePart, quotedEtag } from './s3-encoding.ts';
import type { S3Answer } from './s3-request.ts';
import { readTime } from './xml-fields.ts';
import { BadXmlError, XmlReader, xmlName } from './xml-reader.ts';

/** Of a thousand entries each; an upload has ten pages of parts at most. */
const MOST_PAGES = 100;

type Fields = Readonly<Partial<Record<string, string>>>;

interface Page {
  readonly fields: Fields;
  readonly entries: readonly Fields[];
}

/** The uploads of exactly `key`. */
export async function listUploads(
  connection: S3Connection,
  bucket: string,
  key: string,
  signal: AbortSignal,
): Promise<readonly ListedUpload[]> {
  const found: ListedUpload[] = [];
  let marker: { readonly key: string; readonly id: string } | undefined;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    // Not with `encoding-type=url`: Ceph RGW encodes the keys then, and does not say so.
    const query = queryOf([
      ['key-marker', marker?.key],
      ['prefix', key],
      ['upload-id-marker', marker?.id],
      ['uploads', ''],
    ]);
    const tried = `list the uploads of ${bucket}/${key}`;
    const request = { method: 'GET', bucket, query } as const;
    const { fields, entries } = await connection.send(tried, request, uploadsPage, signal);
    const uploads = entries.map(uploadOf);
    found.push(...uploads.filter((upload) => upload.key === key));
    // In the order of their keys: behind another key there is none more of this one.
    const isLast = fields['IsTruncated'] !== 'true' || uploads.at(-1)?.key !== key;
    if (isLast) return found;
    marker = { key: fields['NextKeyMarker'] ?? '', id: fields['NextUploadIdMarker'] ?? '' };
  }
  return found;
}

/** The parts that the store has of `upload`, by number. */
export async function listParts(
  connection: S3Connection,
  bucket: string,
  { key, uploadId }: Upload,
  signal: AbortSignal,
): Promise<readonly UploadedPart[]> {
  const found: UploadedPart[] = [];
  let marker: string | undefined;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const query = queryOf([
      ['part-number-marker', marker],
      ['uploadId', uploadId],
    ]);
    const tried = `list the parts of ${bucket}/${key}`;
    const request = { method: 'GET', bucket, key, query } as const;
    const { fields, entries } = await connection.send(tried, request, partsPage, signal);
    const hasSums = fields['ChecksumAlgorithm'] === 'CRC32';
    found.push(...entries.map((entry) => partOf(entry, hasSums)));
    if (fields['IsTruncated'] !== 'true') break;
    marker = fields['NextPartNumberMarker'];
  }
  return found.sort((a, b) => a.number - b.number);
}

function queryOf(parameters: readonly (readonly [string, string | undefined])[]): string {
  return parameters
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodePart(value)}`]))
    .join('&');
}

function uploadsPage({ body }: S3Answer): Page {
  return readPage(body, 'Upload', ['Key', 'UploadId', 'Initiated', 'ChecksumAlgorithm']);
}

function partsPage({ body }: S3Answer): Page {
  return readPage(body, 'Part', ['PartNumber', 'ETag', 'Size', 'ChecksumCRC32']);
}

const pageFields = [
  'IsTruncated',
  'NextKeyMarker',
  'NextUploadIdMarker',
  'NextPartNumberMarker',
  'ChecksumAlgorithm',
];

function readPage(document: Buffer, entry: string, names: readonly string[]): Page {
  const reader = new XmlReader(document);
  if (!reader.enter()) throw new BadXmlError('nothing');
  const entryName = xmlName(entry);
  const entries: Fields[] = [];
  const fields: Record<string, string> = {};
  while (reader.enter()) {
    if (!reader.is(entryName)) readField(reader, pageFields, fields);
    else {
      const texts: Record<string, string> = {};
      while (reader.enter()) readField(reader, names, texts);
      entries.push(texts);
    }
  }
  return { fields, entries };
}

function readField(
  reader: XmlReader,
  names: readonly string[],
  into: Record<string, string>,
): void {
  const name = names.find((known) => reader.is(xmlName(known)));
  if (name === undefined) reader.skip();
  else into[name] = reader.text();
}

function uploadOf(fields: Fields): ListedUpload {
  const { Key: key, UploadId: uploadId, Initiated: started, ChecksumAlgorithm: sums } = fields;
  if (key === undefined || uploadId === undefined)
    throw new BadXmlError('an upload without a name');
  return {
    key,
    uploadId,
    ...(sums === 'CRC32' && { sums: 'crc32' as const }),
    startedMs: started === undefined ? 0 : readTime(started),
  };
}

function partOf(fields: Fields, hasSums: boolean): UploadedPart {
  const { PartNumber: number = '', ETag: etag, Size: bytes = '', ChecksumCRC32: crc32 } = fields;
  if (!/^\d{1,5}$/.test(number) || etag === undefined || !/^\d{1,15}$/.test(bytes)) {
    throw new BadXmlError('a part without its number, name or length');
  }
  return {
    number: Number(number),
    etag: quotedEtag(etag),
    bytes: Number(bytes),
    ...(hasSums && crc32 !== undefined && { crc32 }),
  };
}
