import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from 'vitest';
import type { StoreDialect } from '../../../../src/demo/dialect.ts';
import type { ObjectServer } from '../../../../src/demo/s3/object-server.ts';
import { clientOf, refusal, root, startPlayground } from './fixtures/playground.ts';
import { call, codeOf, type RawReply, type RawRequest } from './fixtures/raw-client.ts';

const Bucket = 'shared';
const open: ObjectServer[] = [];

async function start(dialect: StoreDialect): Promise<[ObjectServer, ReturnType<typeof clientOf>]> {
  const server = await startPlayground(dialect);
  open.push(server);
  return [server, clientOf(server)];
}

const raw = async (server: ObjectServer, request: RawRequest): Promise<RawReply> =>
  await call(server.url, request, root);

afterEach(async () => {
  for (const server of open.splice(0)) await server[Symbol.asyncDispose]();
});

describe('the MinIO dialect', () => {
  it('hides a/b from listings while a exists, yet reads it', async () => {
    const [server, client] = await start('minio');
    for (const key of ['a', 'a/b', 'c']) server.foreign.putObject(Bucket, key, key);
    const list = async (): Promise<unknown> =>
      (await client.send(new ListObjectsV2Command({ Bucket }))).Contents?.map((each) => each.Key);
    expect(await list()).toEqual(['a', 'c']);
    const got = await client.send(new GetObjectCommand({ Bucket, Key: 'a/b' }));
    expect(await got.Body?.transformToString()).toBe('a/b');
    server.foreign.deleteObject(Bucket, 'a');
    expect(await list()).toEqual(['a/b', 'c']);
  });

  it('refuses names that a disk would not take, and drops a leading slash', async () => {
    const [server] = await start('minio');
    const put = async (key: string): Promise<string | undefined> =>
      codeOf(await raw(server, { method: 'PUT', path: `/shared/${key}`, body: 'x' }));
    expect(await put(`d/${'%C3%A9'.repeat(127)}`)).toBeUndefined();
    expect(await put(`d/${'%C3%A9'.repeat(128)}`)).toBe('XMinioInvalidObjectName');
    expect(await put('a//b')).toBe('XMinioInvalidObjectName');
    expect(await put('a%00b')).toBe('XMinioInvalidObjectName');
    expect(await put('a/../b')).toBe('XMinioInvalidResourceName');
    expect(await put('.')).toBe('XMinioInvalidResourceName');
    expect(await put('/lead')).toBeUndefined();
    expect(server.foreign.head(Bucket, 'lead')).toBeDefined();
  });

  it('ignores conditions on DELETE and on the target of a copy', async () => {
    const [server, client] = await start('minio');
    server.foreign.putObject(Bucket, 'from', 'new');
    server.foreign.putObject(Bucket, 'to', 'old');
    const copy = { Bucket, Key: 'to', CopySource: `${Bucket}/from` };
    await client.send(new CopyObjectCommand({ ...copy, IfNoneMatch: '*' }));
    expect((await server.foreign.getObject(Bucket, 'to'))?.toString()).toBe('new');
    const wrong = client.send(new CopyObjectCommand({ ...copy, CopySourceIfMatch: '"no"' }));
    expect((await refusal(wrong)).name).toBe('PreconditionFailed');
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'to', IfMatch: '"no"' }));
    expect(server.foreign.head(Bucket, 'to')).toBeUndefined();
  });

  it('empties the target of a renameObject and keeps the source', async () => {
    const [server] = await start('minio');
    server.foreign.putObject(Bucket, 'source', 'x');
    server.foreign.putObject(Bucket, 'target', 'precious');
    const headers = { 'x-amz-rename-source': '/shared/source' };
    const path = '/shared/target';
    const reply = await raw(server, { method: 'PUT', path, query: { renameObject: '' }, headers });
    expect(reply.status).toBe(200);
    expect(server.foreign.head(Bucket, 'target')?.size).toBe(0);
    expect(server.foreign.head(Bucket, 'source')?.size).toBe(1);
  });

  it('answers ranges of empty objects and backward ranges in its own way', async () => {
    const [server] = await start('minio');
    server.foreign.putObject(Bucket, 'empty', '');
    server.foreign.putObject(Bucket, 'full', '0123456789');
    const get = async (path: string, range: string): Promise<unknown[]> => {
      const { status, headers } = await raw(server, { path, headers: { range } });
      return [status, headers['content-range']];
    };
    expect(await get('/shared/empty', 'bytes=0-')).toEqual([416, undefined]);
    expect(await get('/shared/empty', 'bytes=-1')).toEqual([206, 'bytes 0--1/0']);
    expect(await get('/shared/full', 'bytes=5-2')).toEqual([416, undefined]);
  });

  it('gives a last empty page after full pages, and NextMarker without a delimiter', async () => {
    const [server, client] = await start('minio');
    for (const key of ['a', 'b']) server.foreign.putObject(Bucket, key, key);
    const first = await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 2 }));
    expect(first.IsTruncated).toBe(true);
    const ContinuationToken = first.NextContinuationToken;
    const second = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken }));
    expect([second.KeyCount, second.IsTruncated]).toEqual([0, false]);
    const v1 = await client.send(new ListObjectsCommand({ Bucket, MaxKeys: 1 }));
    expect(v1.NextMarker).toBe('a');
  });

  it('lists metadata on request, and takes a session for a listing', async () => {
    const [server] = await start('minio');
    server.foreign.putObject(Bucket, 'a', 'x', { 'x-amz-meta-mode': '33188' });
    const query = { 'list-type': '2', metadata: 'true' };
    const listed = await raw(server, { path: '/shared', query });
    expect(listed.text).toContain('<UserMetadata>');
    expect(listed.text).toContain('<X-Amz-Meta-Mode>33188</X-Amz-Meta-Mode>');
    const session = await raw(server, { path: '/shared', query: { session: '' } });
    expect(session.text).toContain('<ListBucketResult');
  });

  it('names wrong checksums in its own way', async () => {
    const [, client] = await start('minio');
    const put = { Bucket, Key: 'k', Body: 'x', ChecksumCRC32: 'AAAAAA==' };
    const { name } = await refusal(client.send(new PutObjectCommand(put)));
    expect(name).toBe('XAmzContentChecksumMismatch');
  });
});

describe('the RGW dialect', () => {
  it('ignores CRCs and the conditions of copies, but not Content-MD5', async () => {
    const [server, client] = await start('rgw');
    const put = { Bucket, Key: 'k', Body: 'x' };
    const reply = await client.send(new PutObjectCommand({ ...put, ChecksumCRC32: 'AAAAAA==' }));
    expect(reply.ChecksumCRC32).toBeUndefined();
    const ContentMD5 = Buffer.alloc(16).toString('base64');
    expect((await refusal(client.send(new PutObjectCommand({ ...put, ContentMD5 })))).status).toBe(
      400,
    );
    const copy = { Bucket, Key: 'copy', CopySource: `${Bucket}/k`, CopySourceIfMatch: '"no"' };
    await client.send(new CopyObjectCommand(copy));
    expect(server.foreign.head(Bucket, 'copy')).toBeDefined();
  });

  it('needs a length for aws-chunked bodies, and honours conditions on PUT', async () => {
    const [server, client] = await start('rgw');
    const headers = { 'transfer-encoding': 'chunked', 'x-amz-decoded-content-length': '1' };
    const payload = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
    const request = { method: 'PUT', path: '/shared/k', payload, body: '1\r\nx\r\n0\r\n\r\n' };
    const chunked = await raw(server, { ...request, headers });
    expect([chunked.status, codeOf(chunked)]).toEqual([411, 'MissingContentLength']);
    const put = client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', IfMatch: '"no"' }));
    expect((await refusal(put)).status).toBe(412);
  });
});

describe('If-Match of a PUT with the right ETag', () => {
  it.each([
    ['aws', 'quoted', 200],
    ['aws', 'bare', 200],
    ['minio', 'quoted', 200],
    ['rgw', 'quoted', 412],
    ['rgw', 'bare', 200],
  ] as const)('in the dialect %s, %s: %d', async (dialect, form, status) => {
    const [server, client] = await start(dialect);
    const { etag } = server.foreign.putObject(Bucket, 'k', Buffer.from('x'));
    const IfMatch = form === 'bare' ? etag : `"${etag}"`;
    const put = client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'y', IfMatch }));
    const outcome = await put.then(
      ({ $metadata }) => $metadata.httpStatusCode,
      async () => (await refusal(put)).status,
    );
    expect(outcome).toBe(status);
  });
});

describe('the AWS dialect', () => {
  it('serves neither renames, sessions nor appends', async () => {
    const [server] = await start('aws');
    const put = { method: 'PUT', path: '/shared/k', body: 'x' };
    expect(codeOf(await raw(server, { ...put, query: { renameObject: '' } }))).toBe(
      'NotImplemented',
    );
    expect(codeOf(await raw(server, { path: '/shared', query: { session: '' } }))).toBe(
      'NotImplemented',
    );
    const append = await raw(server, { ...put, headers: { 'x-amz-write-offset-bytes': '0' } });
    expect(append.status).toBe(400);
    expect(server.foreign.objects(Bucket)).toEqual([]);
  });
});
