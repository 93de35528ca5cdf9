/** Conditional requests: what holds of the present object decides. */
import { CopyObjectCommand } from '@aws-sdk/client-s3';
import { type Check, type Checks, expectRefusal, expectText } from './check.ts';
import type { Target } from './target.ts';

const KEY = 'condition/present';

async function present(target: Target, signal: AbortSignal): Promise<string> {
  const { ETag: etag = '' } = await target.put(KEY, 'here', {}, signal);
  return etag;
}

const getIfMatch: Check = async (target, signal) => {
  const { key, etag } = await target.large(signal);
  const bytes = await target.read(key, { Range: 'bytes=0-9', IfMatch: etag }, signal);
  expectText(String(bytes.length), '10');
};

const getIfMatchWrong: Check = async (target, signal) => {
  await present(target, signal);
  await expectRefusal(target.read(KEY, { IfMatch: '"abc"' }, signal), 412);
};

const getIfNoneMatch: Check = async (target, signal) => {
  const { key, etag } = await target.large(signal);
  await expectRefusal(target.read(key, { IfNoneMatch: etag }, signal), 304);
};

const headIfNoneMatch: Check = async (target, signal) => {
  const etag = await present(target, signal);
  await expectRefusal(target.head(KEY, { IfNoneMatch: etag }, signal), 304);
};

const putNewOverExisting: Check = async (target, signal) => {
  await present(target, signal);
  await expectRefusal(target.put(KEY, 'other', { IfNoneMatch: '*' }, signal), 412);
};

const putNew: Check = async (target, signal) => {
  await target.put('condition/new', 'first', { IfNoneMatch: '*' }, signal);
};

const putIfMatchWrong: Check = async (target, signal) => {
  await present(target, signal);
  await expectRefusal(target.put(KEY, 'other', { IfMatch: '"abc"' }, signal), 412);
};

const completeNewOverExisting: Check = async (target, signal) => {
  await present(target, signal);
  const upload = { key: KEY, uploadId: await target.startUpload(KEY, {}, signal) };
  const part = await target.part(upload, 1, 'other', signal);
  await expectRefusal(target.complete(upload, [part], { IfNoneMatch: '*' }, signal), 412);
};

const completeIfMatchWrong: Check = async (target, signal) => {
  await present(target, signal);
  const upload = { key: KEY, uploadId: await target.startUpload(KEY, {}, signal) };
  const part = await target.part(upload, 1, 'other', signal);
  await expectRefusal(target.complete(upload, [part], { IfMatch: '"abc"' }, signal), 412);
};

const copyIfSourceMatchWrong: Check = async (target, signal) => {
  await present(target, signal);
  const command = new CopyObjectCommand({
    Bucket: target.bucket,
    Key: 'condition/copy',
    CopySource: `${target.bucket}/${KEY}`,
    CopySourceIfMatch: '"abc"',
  });
  await expectRefusal(target.client.send(command, { abortSignal: signal }), 412);
};

export const conditionChecks: Checks = {
  'ranged GET with the right If-Match': getIfMatch,
  'GET with a wrong If-Match: 412': getIfMatchWrong,
  'GET with If-None-Match of the same: 304': getIfNoneMatch,
  'HEAD with If-None-Match of the same: 304': headIfNoneMatch,
  'PUT If-None-Match:* over an object: 412': putNewOverExisting,
  'PUT If-None-Match:* of a new key': putNew,
  'PUT with a wrong If-Match: 412': putIfMatchWrong,
  'completion with If-None-Match:* over an object: 412': completeNewOverExisting,
  'completion with a wrong If-Match: 412': completeIfMatchWrong,
  'copy with a wrong x-amz-copy-source-if-match: 412': copyIfSourceMatchWrong,
};
