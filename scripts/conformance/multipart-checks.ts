/** Uploads in parts, and copies made on the server. */
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { MiB } from '../../src/lib/bytes.ts';
import {
  type Check,
  type Checks,
  expect,
  expectBytes,
  expectRefusal,
  expectText,
} from './check.ts';
import { PART_BYTES } from './target.ts';

const partsMakeOneObject: Check = async (target, signal) => {
  const { key, etag, etagAnswered } = await target.large(signal);
  expectBytes(await target.read(key, {}, signal), target.largeBytes);
  expect(/-3"?$/.test(etag), `the ETag of three parts is ${etag}`);
  // Else a cache has to ask again what it has just written.
  expect(etagAnswered, 'the answer to the completion has no ETag, or another');
};

const smallPartIsRefused: Check = async (target, signal) => {
  const key = 'parts/small';
  const upload = { key, uploadId: await target.startUpload(key, {}, signal) };
  const parts = [
    await target.part(upload, 1, 'x', signal),
    await target.part(upload, 2, 'x', signal),
  ];
  await expectRefusal(target.complete(upload, parts, {}, signal), 'EntityTooSmall');
};

const wrongPartIsRefused: Check = async (target, signal) => {
  const key = 'parts/wrong';
  const upload = { key, uploadId: await target.startUpload(key, {}, signal) };
  await target.part(upload, 1, 'x', signal);
  const parts = [{ PartNumber: 1, ETag: `"${'0'.repeat(32)}"` }];
  await expectRefusal(target.complete(upload, parts, {}, signal), 'InvalidPart');
};

const uploadsAreListedAndAborted: Check = async (target, signal) => {
  const key = 'parts/aborted';
  const upload = { key, uploadId: await target.startUpload(key, {}, signal) };
  await target.part(upload, 1, 'x', signal);
  const name = { Bucket: target.bucket, Key: key, UploadId: upload.uploadId };
  const listParts = async () =>
    await target.client.send(new ListPartsCommand(name), { abortSignal: signal });
  expectText(String((await listParts()).Parts?.length), '1');
  const list = new ListMultipartUploadsCommand({ Bucket: target.bucket });
  const { Uploads: uploads = [] } = await target.client.send(list, { abortSignal: signal });
  const listed = uploads.some(({ UploadId: id }) => id === upload.uploadId);
  expect(listed, 'the upload is not listed');
  await target.client.send(new AbortMultipartUploadCommand(name), { abortSignal: signal });
  await expectRefusal(listParts(), 'NoSuchUpload');
};

const copyIsTheSame: Check = async (target, signal) => {
  const { key } = await target.large(signal);
  const command = new CopyObjectCommand({
    Bucket: target.bucket,
    Key: 'copy/large',
    CopySource: `${target.bucket}/${key}`,
  });
  await target.client.send(command, { abortSignal: signal });
  expectBytes(await target.read('copy/large', {}, signal), target.largeBytes);
};

const copyOntoItselfChangesMetadata: Check = async (target, signal) => {
  const key = 'copy/itself';
  await target.put(key, 'x', { Metadata: { mode: '33188' } }, signal);
  const command = new CopyObjectCommand({
    Bucket: target.bucket,
    Key: key,
    CopySource: `${target.bucket}/${key}`,
    MetadataDirective: 'REPLACE',
    Metadata: { mode: '1' },
  });
  await target.client.send(command, { abortSignal: signal });
  const { Metadata: metadata } = await target.head(key, {}, signal);
  expectText(metadata?.['mode'], '1');
};

const partIsCopiedByRange: Check = async (target, signal) => {
  const { key: source } = await target.large(signal);
  const key = 'copy/parts';
  const upload = { key, uploadId: await target.startUpload(key, {}, signal) };
  const command = new UploadPartCopyCommand({
    Bucket: target.bucket,
    Key: key,
    UploadId: upload.uploadId,
    PartNumber: 1,
    CopySource: `${target.bucket}/${source}`,
    CopySourceRange: `bytes=0-${PART_BYTES - 1}`,
  });
  const { CopyPartResult: copied } = await target.client.send(command, { abortSignal: signal });
  const first = { PartNumber: 1, ...(copied?.ETag && { ETag: copied.ETag }) };
  const last = await target.part(upload, 2, 'tail', signal);
  await target.complete(upload, [first, last], {}, signal);
  const head = target.largeBytes.subarray(0, PART_BYTES);
  const wanted = Buffer.concat([head, Buffer.from('tail')]);
  expectBytes(await target.read(key, {}, signal), wanted);
};

/** What @aws-sdk/lib-storage does with a stream: equal parts, three at a time, each with a CRC32. */
const streamIsUploadedInParts: Check = async (target, signal) => {
  const key = 'parts/stream';
  const bytes = target.largeBytes;
  const source = Readable.from([bytes.subarray(0, 3 * MiB), bytes.subarray(3 * MiB)]);
  const options = { ChecksumAlgorithm: 'CRC32' } as const;
  const upload = { key, uploadId: await target.startUpload(key, options, signal) };
  const uploads = [];
  for await (const body of equalParts(source, PART_BYTES)) {
    uploads.push(target.part(upload, uploads.length + 1, body, signal));
  }
  await target.complete(upload, await Promise.all(uploads), {}, signal);
  expectBytes(await target.read(key, {}, signal), bytes);
};

async function* equalParts(source: AsyncIterable<Buffer>, bytes: number): AsyncIterable<Buffer> {
  let held = Buffer.alloc(0);
  for await (const chunk of source) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= bytes) {
      yield held.subarray(0, bytes);
      held = held.subarray(bytes);
    }
  }
  if (held.length > 0) yield held;
}

/** What a patch of a large file needs, when the upload was begun with checksums. */
const partIsCopiedBesideChecksums: Check = async (target, signal) => {
  const { key: source } = await target.large(signal);
  const key = 'copy/checksums';
  const options = { ChecksumAlgorithm: 'CRC32' } as const;
  const upload = { key, uploadId: await target.startUpload(key, options, signal) };
  const command = new UploadPartCopyCommand({
    Bucket: target.bucket,
    Key: key,
    UploadId: upload.uploadId,
    PartNumber: 1,
    CopySource: `${target.bucket}/${source}`,
  });
  const { CopyPartResult: copied } = await target.client.send(command, { abortSignal: signal });
  const { ETag, ChecksumCRC32 } = copied ?? {};
  const part = { PartNumber: 1, ...(ETag && { ETag }), ...(ChecksumCRC32 && { ChecksumCRC32 }) };
  await target.complete(upload, [part], {}, signal);
  expectBytes(await target.read(key, {}, signal), target.largeBytes);
};

/** How one finds what a crash has left, wherever a prefix finds nothing. */
const uploadIsFoundByItsKey: Check = async (target, signal) => {
  const key = 'parts/by key';
  const uploadId = await target.startUpload(key, {}, signal);
  const list = new ListMultipartUploadsCommand({ Bucket: target.bucket, Prefix: key });
  const { Uploads: uploads = [] } = await target.client.send(list, { abortSignal: signal });
  expectText(uploads.map(({ Key, UploadId }) => `${Key} ${UploadId}`).join(), `${key} ${uploadId}`);
};

/** After a completion without an answer it tells whether to look for the object. */
const goneUploadIsNamed: Check = async (target, signal) => {
  const key = 'parts/gone';
  const upload = { key, uploadId: await target.startUpload(key, {}, signal) };
  const part = await target.part(upload, 1, 'x', signal);
  const name = { Bucket: target.bucket, Key: key, UploadId: upload.uploadId };
  await target.client.send(new AbortMultipartUploadCommand(name), { abortSignal: signal });
  await expectRefusal(target.complete(upload, [part], {}, signal), 'NoSuchUpload');
};

export const multipartChecks: Checks = {
  'multipart 5+5+1 MiB in parallel: ETag ends in -3': partsMakeOneObject,
  'small part before the last: EntityTooSmall': smallPartIsRefused,
  'completion with a wrong ETag: InvalidPart': wrongPartIsRefused,
  'ListParts, ListMultipartUploads, abort: NoSuchUpload': uploadsAreListedAndAborted,
  CopyObject: copyIsTheSame,
  'CopyObject onto itself with other metadata': copyOntoItselfChangesMetadata,
  'UploadPartCopy with a range': partIsCopiedByRange,
  'UploadPartCopy into an upload with checksums': partIsCopiedBesideChecksums,
  'ListMultipartUploads by the whole key': uploadIsFoundByItsKey,
  'completion of an upload that is gone: NoSuchUpload': goneUploadIsNamed,
  'a stream of 11 MiB in parts with checksums': streamIsUploadedInParts,
};
