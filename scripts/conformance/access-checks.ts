/** Who may ask, and how a request may come: signatures, host names, HTTP's own manners. */
import { lookup as resolve } from 'node:dns';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { type Check, type Checks, expect, expectRefusal, expectText, Mismatch } from './check.ts';
import { presignPut } from './presign.ts';
import type { Target } from './target.ts';

const KEY = 'access/object';

async function listWith(
  target: Target,
  config: S3ClientConfig,
  signal: AbortSignal,
): Promise<unknown> {
  const command = new ListObjectsV2Command({ Bucket: target.bucket });
  return await target.clientWith(config).send(command, { abortSignal: signal });
}

const wrongSecretIsRefused: Check = async (target, signal) => {
  const credentials = { ...target.credentials, secretAccessKey: 'wrong' };
  await expectRefusal(listWith(target, { credentials }, signal), 'SignatureDoesNotMatch');
};

const unknownKeyIsRefused: Check = async (target, signal) => {
  const { secretAccessKey } = target.credentials;
  const credentials = { accessKeyId: 'NOPE', secretAccessKey };
  await expectRefusal(listWith(target, { credentials }, signal), 'InvalidAccessKeyId');
};

const bogusSessionIsRefused: Check = async (target, signal) => {
  const credentials = { ...target.credentials, sessionToken: 'bogus' };
  await expectRefusal(listWith(target, { credentials }, signal), 400, 403);
};

/** Servers take a quarter of an hour (S3 reference, "RequestTimeTooSkewed"). */
const SKEW_MS = 3_600_000;

const skewedClockIsRefused: Check = async (target, signal) => {
  const config = { systemClockOffset: SKEW_MS };
  await expectRefusal(listWith(target, config, signal), 'RequestTimeTooSkewed');
};

const anonymousIsRefused: Check = async (target, signal) => {
  await target.put(KEY, 'x', {}, signal);
  const url = new URL(`/${target.bucket}/${KEY}`, target.url);
  const { status } = await fetch(url, { method: 'HEAD', signal });
  expectText(String(status), '403');
};

/** Bucket names under `localhost` have no address of their own: they go where the endpoint is. */
const virtualHostWorks: Check = async (target, signal) => {
  const { protocol, hostname, port } = target.url;
  const lookup: LookupFunction = (_, options, done) => resolve(hostname, options, done);
  const isAddress = /^[\d.]+$|^\[/.test(hostname);
  const client = target.clientWith({
    endpoint: `${protocol}//${isAddress ? 'localhost' : hostname}:${port}`,
    forcePathStyle: false,
    requestHandler: {
      httpAgent: new HttpAgent({ lookup }),
      httpsAgent: new HttpsAgent({ lookup }),
    },
  });
  await target.put(KEY, 'virtual', {}, signal);
  const command = new GetObjectCommand({ Bucket: target.bucket, Key: KEY });
  const { Body: body } = await client.send(command, { abortSignal: signal });
  expectText(await body?.transformToString(), 'virtual');
};

/** RFC 9110, 10.1.1: a client may wait for 100 before it sends the body. */
const continueIsSent: Check = async (target, signal) => {
  const url = presignPut(target, 'access/expect', new Date());
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  await new Promise<void>((done, fail) => {
    const headers = { expect: '100-continue', 'content-length': 5 };
    const request = send(url, { method: 'PUT', headers, signal });
    request.on('continue', () => {
      done();
      request.destroy();
    });
    request.on('response', (response) => {
      response.resume();
      fail(new Mismatch(`answered ${response.statusCode ?? 0} without waiting for the body`));
    });
    request.on('error', fail);
    request.flushHeaders();
  });
};

/** The last of all: versioning cannot be taken back. */
const versionsAreKept: Check = async (target, signal) => {
  const command = new PutBucketVersioningCommand({
    Bucket: target.bucket,
    VersioningConfiguration: { Status: 'Enabled' },
  });
  await target.client.send(command, { abortSignal: signal });
  const { VersionId: version } = await target.put('access/version', '1', {}, signal);
  expect(version !== undefined, 'no VersionId in the answer');
};

export const accessChecks: Checks = {
  'wrong secret: SignatureDoesNotMatch': wrongSecretIsRefused,
  'unknown key: InvalidAccessKeyId': unknownKeyIsRefused,
  'bogus session token is refused': bogusSessionIsRefused,
  'clock an hour ahead: RequestTimeTooSkewed': skewedClockIsRefused,
  'anonymous is refused': anonymousIsRefused,
  'virtual-host style (bucket.localhost)': virtualHostWorks,
  'Expect: 100-continue': continueIsSent,
  'versioning: PUT answers a VersionId': versionsAreKept,
};
