/** ListMultipartUploads and ListParts. */

import { compareKeys } from '../byte-order.ts';
import { type Call, type Reply, xmlReply } from '../call.ts';
import { S3Error } from '../errors.ts';
import { foldedPrefix } from '../listing.ts';
import type { Upload } from '../multipart.ts';
import { element, xmlDocument } from '../xml.ts';
import { findUpload } from './upload-parts.ts';

/** S3's largest page, of uploads and of parts. */
const MAX_ENTRIES = 1000;

function limitOf(call: Call, name: string): number {
  const text = call.query.get(name) ?? String(MAX_ENTRIES);
  if (!/^\d{1,10}$/.test(text)) throw new S3Error('InvalidArgument');
  return Math.min(Number(text), MAX_ENTRIES);
}

export function listMultipartUploads(call: Call): Reply {
  const prefix = call.query.get('prefix') ?? '';
  const asked = call.query.get('delimiter') ?? '';
  const conditions = { 's3:prefix': prefix, 's3:delimiter': asked };
  call.require('s3:ListBucketMultipartUploads', undefined, conditions);
  const { bucket, quirks } = call;
  const delimiter = quirks.uploadPrefixIsKey ? '' : asked;
  const limit = limitOf(call, 'max-uploads');
  const matches = ({ key }: Upload): boolean =>
    quirks.uploadPrefixIsKey && prefix !== '' ? key === prefix : key.startsWith(prefix);
  const rest = [...bucket.uploads.values()].filter(matches).sort(byKeyThenAge).filter(after(call));
  const commonPrefixes = new Set<string>();
  const shown = rest.filter(({ key }) => {
    const folded = foldedPrefix(key, prefix, delimiter);
    if (folded !== undefined) commonPrefixes.add(folded);
    return folded === undefined;
  });
  const page = shown.slice(0, limit);
  const last = shown.length > limit ? page.at(-1) : undefined;
  const folds = [...commonPrefixes].map(
    (each) => `<CommonPrefixes>${element('Prefix', each)}</CommonPrefixes>`,
  );
  return xmlReply(
    xmlDocument(
      'ListMultipartUploadsResult',
      element('Bucket', bucket.name) +
        element('KeyMarker', call.query.get('key-marker') ?? '') +
        element('UploadIdMarker', call.query.get('upload-id-marker') ?? '') +
        element('Prefix', prefix) +
        element('Delimiter', asked === '' ? undefined : asked) +
        element('NextKeyMarker', last?.key) +
        element('NextUploadIdMarker', last?.id) +
        element('MaxUploads', limit) +
        element('IsTruncated', last !== undefined) +
        page.map(describe).join('') +
        folds.join(''),
    ),
  );
}

function describe({ key, id, startedMs }: Upload): string {
  return (
    `<Upload>${element('Key', key)}${element('UploadId', id)}` +
    '<Initiator><ID></ID></Initiator><Owner><ID></ID></Owner>' +
    `<StorageClass>STANDARD</StorageClass>${element('Initiated', new Date(startedMs).toISOString())}</Upload>`
  );
}

function byKeyThenAge(a: Upload, b: Upload): number {
  return compareKeys(a.key, b.key) || a.startedMs - b.startedMs || compareKeys(a.id, b.id);
}

/** What comes after the markers; without an upload's id, after all uploads of the key. */
function after(call: Call): (upload: Upload, at: number, sorted: readonly Upload[]) => boolean {
  const key = call.query.get('key-marker');
  const id = call.query.get('upload-id-marker');
  if (key === undefined || key === '') return () => true;
  return (upload, at, sorted) => {
    const order = compareKeys(upload.key, key);
    if (order !== 0) return order > 0;
    const marked = sorted.findIndex((each) => each.id === id);
    return marked >= 0 && at > marked;
  };
}

export function listParts(call: Call): Reply {
  call.require('s3:ListMultipartUploadParts');
  const upload = findUpload(call, call.quirks.goneUpload);
  const limit = limitOf(call, 'max-parts');
  const marker = Number(call.query.get('part-number-marker') ?? 0);
  const rest = [...upload.parts.values()]
    .filter(({ number }) => number > marker)
    .sort((a, b) => a.number - b.number);
  const page = rest.slice(0, limit);
  const truncated = rest.length > limit;
  const items = page.map(
    ({ number, etag, content, modifiedMs, checksum }) =>
      `<Part>${element('PartNumber', number)}${element('LastModified', new Date(modifiedMs).toISOString())}` +
      `${element('ETag', `"${etag}"`)}${element('Size', content.size)}` +
      `${checksum ? element(`Checksum${checksum.name}`, checksum.value) : ''}</Part>`,
  );
  return xmlReply(
    xmlDocument(
      'ListPartsResult',
      element('Bucket', call.bucketName) +
        element('Key', upload.key) +
        element('UploadId', upload.id) +
        element('PartNumberMarker', marker) +
        element('NextPartNumberMarker', truncated ? page.at(-1)?.number : undefined) +
        element('MaxParts', limit) +
        element('IsTruncated', truncated) +
        items.join(''),
    ),
  );
}
