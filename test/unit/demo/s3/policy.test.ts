import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from 'vitest';
import type { StoreDialect } from '../../../../src/demo/dialect.ts';
import { type ObjectServer, startObjectServer } from '../../../../src/demo/s3/object-server.ts';
import type { RequestConditions, Resource } from '../../../../src/demo/s3/principal.ts';
import { alice, clientOf, never, refusal, root, startPlayground } from './fixtures/playground.ts';
import { call, codeOf } from './fixtures/raw-client.ts';

const Bucket = 'shared';
const open: ObjectServer[] = [];

async function start(dialect: StoreDialect): Promise<[ObjectServer, ReturnType<typeof clientOf>]> {
  const server = await startPlayground(dialect);
  open.push(server);
  for (const key of ['alice/mine', 'bob/his', 'alicex/near'])
    server.foreign.putObject(Bucket, key, key);
  return [server, clientOf(server, alice)];
}

afterEach(async () => {
  for (const server of open.splice(0)) await server[Symbol.asyncDispose]();
});

describe.each(['aws', 'minio', 'rgw'] as const)('policy, on %s', (dialect) => {
  it('lets the owner in and nobody else, whether or not there is anything', async () => {
    const [server, client] = await start(dialect);
    const got = await client.send(new GetObjectCommand({ Bucket, Key: 'alice/mine' }));
    expect(await got.Body?.transformToString()).toBe('alice/mine');
    await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'alice/' }));
    const before = server.foreign.objects(Bucket);
    for (const Key of ['bob/his', 'bob/none', 'alicex/near']) {
      const one = { Bucket, Key };
      const requests = [
        client.send(new GetObjectCommand(one)),
        client.send(new PutObjectCommand({ ...one, Body: 'x' })),
        client.send(new DeleteObjectCommand(one)),
        client.send(new CopyObjectCommand({ ...one, CopySource: `${Bucket}/alice/mine` })),
        client.send(
          new CopyObjectCommand({ Bucket, Key: 'alice/c', CopySource: `${Bucket}/${Key}` }),
        ),
      ];
      const refused = await Promise.all(requests.map(refusal));
      expect(refused.map(({ name, status }) => `${name} ${status ?? ''}`)).toEqual(
        requests.map(() => 'AccessDenied 403'),
      );
      expect((await refusal(client.send(new HeadObjectCommand(one)))).status).toBe(403);
    }
    expect(server.foreign.objects(Bucket)).toEqual(before);
  });

  it('gives missing buckets away to nobody who may not use them', async () => {
    const [server, client] = await start(dialect);
    const listing = client.send(new ListObjectsV2Command({ Bucket: 'no-such-bucket' }));
    expect((await refusal(listing)).name).toBe('AccessDenied');
    const reply = await call(server.url, { path: '/no-such-bucket' }, root);
    expect(codeOf(reply)).toBe('NoSuchBucket');
  });

  it('answers a batch of deletions key by key', async () => {
    const [server, client] = await start(dialect);
    const Objects = [{ Key: 'alice/mine' }, { Key: 'bob/his' }];
    const reply = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(reply.Deleted?.map((each) => each.Key)).toEqual(['alice/mine']);
    expect(reply.Errors).toMatchObject([{ Key: 'bob/his', Code: 'AccessDenied' }]);
    expect(server.foreign.head(Bucket, 'bob/his')).toBeDefined();
  });

  it('says that a key is missing as the dialect does to those who may not list', async () => {
    const principal = {
      ...root,
      allows: (action: string) => action === 's3:GetObject',
    };
    const book = { find: () => principal };
    const server = await startObjectServer({ dialect, principals: book }, never);
    open.push(server);
    server.foreign.createBucket(Bucket);
    const reply = await call(server.url, { path: '/shared/none' }, root);
    expect(codeOf(reply)).toBe(dialect === 'minio' ? 'NoSuchKey' : 'AccessDenied');
  });
});

describe('policy', () => {
  it('is asked with the action, the resource and the conditions of each request', async () => {
    const asked: [string, Resource, RequestConditions][] = [];
    const principal = {
      ...root,
      allows: (...question: [string, Resource, RequestConditions]) => asked.push(question) > 0,
    };
    const principals = { find: () => principal };
    const server = await startObjectServer({ dialect: 'aws', principals }, never);
    open.push(server);
    server.foreign.createBucket(Bucket);
    const query = { 'list-type': '2', prefix: 'a', delimiter: '%2F' };
    await call(server.url, { path: '/shared', query }, root);
    expect(asked[0]?.[0]).toBe('s3:ListBucket');
    expect(asked[0]?.[1]).toEqual({ bucket: Bucket });
    expect(asked[0]?.[2]).toMatchObject({ 's3:prefix': 'a', 's3:delimiter': '/' });
    asked.length = 0;
    const upload = { uploadId: 'x' };
    await call(server.url, { path: '/shared/k', query: upload }, root);
    await call(server.url, { path: '/shared/k', query: upload, method: 'DELETE' }, root);
    await call(server.url, { path: '/shared', query: { uploads: '' } }, root);
    await call(server.url, { path: '/shared', query: { location: '' } }, root);
    expect(asked.map(([action]) => action)).toEqual([
      's3:ListMultipartUploadParts',
      's3:AbortMultipartUpload',
      's3:ListBucketMultipartUploads',
      's3:GetBucketLocation',
    ]);
  });

  it('filters the list of buckets on MinIO and refuses it elsewhere', async () => {
    const principal = {
      ...root,
      allows: (action: string, { bucket }: Resource) =>
        action === 's3:ListBucket' && bucket === 'mine',
    };
    for (const dialect of ['minio', 'aws'] as const) {
      const principals = { find: () => principal };
      const server = await startObjectServer({ dialect, principals }, never);
      open.push(server);
      for (const name of ['mine', 'theirs']) server.foreign.createBucket(name);
      const list = clientOf(server).send(new ListBucketsCommand({}));
      if (dialect === 'aws') expect((await refusal(list)).name).toBe('AccessDenied');
      else expect((await list).Buckets?.map((each) => each.Name)).toEqual(['mine']);
    }
  });
});
