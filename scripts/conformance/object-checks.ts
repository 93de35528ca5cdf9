/** Single objects: bytes, checksums, metadata, names. */
import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import {
  type Check,
  type Checks,
  expect,
  expectBytes,
  expectRefusal,
  expectText,
} from './check.ts';
import { listKeys } from './listing-checks.ts';
import { md5, type Target } from './target.ts';

async function expectContent(
  target: Target,
  key: string,
  content: string,
  signal: AbortSignal,
): Promise<void> {
  const bytes = await target.read(key, {}, signal);
  expectText(Buffer.from(bytes).toString(), content);
}

const etagIsMd5: Check = async (target, signal) => {
  const { ETag: etag } = await target.put('object/small', 'hello', {}, signal);
  expectText(etag, `"${md5('hello').toString('hex')}"`);
};

const checksumIsEchoed: Check = async (target, signal) => {
  const { ChecksumCRC32: checksum } = await target.put('object/crc32', 'hello', {}, signal);
  expect(checksum !== undefined, 'no ChecksumCRC32 in the answer');
};

const streamIsStoredUnframed: Check = async (target, signal) => {
  const bytes = target.largeBytes.subarray(0, 300_000);
  const options = { ContentLength: bytes.length };
  await target.put('object/stream', Readable.from([bytes]), options, signal);
  expectBytes(await target.read('object/stream', {}, signal), bytes);
};

const crc64IsTaken: Check = async (target, signal) => {
  await target.put('object/crc64', 'hello', { ChecksumAlgorithm: 'CRC64NVME' }, signal);
  await expectContent(target, 'object/crc64', 'hello', signal);
};

const wrongCrc32IsRefused: Check = async (target, signal) => {
  const put = target.put('object/bad', 'hello', { ChecksumCRC32: 'AAAAAA==' }, signal);
  await expectRefusal(put, 400);
};

const wrongMd5IsRefused: Check = async (target, signal) => {
  const put = target.put(
    'object/bad',
    'hello',
    { ContentMD5: md5('x').toString('base64') },
    signal,
  );
  await expectRefusal(put, 400);
};

const metadataIsKept: Check = async (target, signal) => {
  const metadata = { mode: '33188', mtime: '1.5' };
  await target.put('object/meta', 'x', { ContentType: 'text/x-y', Metadata: metadata }, signal);
  const { ContentType: type, Metadata: found } = await target.head('object/meta', {}, signal);
  expectText(type, 'text/x-y');
  expectText(found?.['mode'], metadata.mode);
  expectText(found?.['mtime'], metadata.mtime);
};

const oddKeysWork: Check = async (target, signal) => {
  const keys = ['sp ace+pl&us%25.txt', 'ünï☃.txt', 'dir/', "a'b(c)!*~.txt", '=?#x'].map(
    (name) => `odd/${name}`,
  );
  for (const key of keys) {
    await target.put(key, key, {}, signal);
    await expectContent(target, key, key, signal);
  }
  const listed = await listKeys(target, { Prefix: 'odd/' }, signal);
  const missing = keys.filter((key) => !listed.includes(key));
  expect(missing.length === 0, `not listed: ${missing.join(', ')}`);
};

const keyBelowKeyWorks: Check = async (target, signal) => {
  await target.put('f', '1', {}, signal);
  await target.put('f/g', '2', {}, signal);
  await expectContent(target, 'f', '1', signal);
  await expectContent(target, 'f/g', '2', signal);
};

const emptyObjectWorks: Check = async (target, signal) => {
  await target.put('object/empty', '', {}, signal);
  const { ContentLength: length } = await target.head('object/empty', {}, signal);
  expectText(String(length), '0');
};

const missingKeyIsNamed: Check = async (target, signal) => {
  await expectRefusal(target.read('object/missing', {}, signal), 'NoSuchKey');
};

const rangeIsServed: Check = async (target, signal) => {
  const { key } = await target.large(signal);
  const command = new GetObjectCommand({
    Bucket: target.bucket,
    Key: key,
    Range: 'bytes=1000000-1999999',
  });
  const reply = await target.client.send(command, { abortSignal: signal });
  const bytes = await reply.Body?.transformToByteArray();
  expectBytes(bytes ?? new Uint8Array(), target.largeBytes.subarray(1_000_000, 2_000_000));
  expectText(String(reply.$metadata.httpStatusCode), '206');
  expectText(reply.ContentRange, `bytes 1000000-1999999/${target.largeBytes.length}`);
};

const suffixRangeIsServed: Check = async (target, signal) => {
  const { key } = await target.large(signal);
  const bytes = await target.read(key, { Range: 'bytes=-100' }, signal);
  expectBytes(bytes, target.largeBytes.subarray(-100));
};

const rangePastEndIsRefused: Check = async (target, signal) => {
  await target.put('object/short', 'hello', {}, signal);
  await expectRefusal(target.read('object/short', { Range: 'bytes=100-200' }, signal), 416);
};

export const objectChecks: Checks = {
  'put small: the ETag is the MD5': etagIsMd5,
  'put small: the CRC32 is echoed': checksumIsEchoed,
  'put a stream (aws-chunked with trailer): stored without the framing': streamIsStoredUnframed,
  'put with CRC64NVME': crc64IsTaken,
  'wrong CRC32 is refused': wrongCrc32IsRefused,
  'wrong Content-MD5 is refused': wrongMd5IsRefused,
  'user metadata and content type are kept': metadataIsKept,
  'odd keys (space + % unicode ~ trailing slash)': oddKeysWork,
  'keys "f" and "f/g" side by side': keyBelowKeyWorks,
  'an object of zero bytes': emptyObjectWorks,
  'missing key: NoSuchKey': missingKeyIsNamed,
  'ranged GET: 206 with Content-Range': rangeIsServed,
  'suffix range bytes=-100': suffixRangeIsServed,
  'range past the end: 416': rangePastEndIsRefused,
};
