import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectServer } from '../../../../src/demo/s3/object-server.ts';
import { clientOf, refusal, root, startPlayground } from './fixtures/playground.ts';
import { call, codeOf, presign, send, sign } from './fixtures/raw-client.ts';

const Bucket = 'shared';
const Key = 'folder/file';
let server: ObjectServer;
let client: ReturnType<typeof clientOf>;

beforeEach(async () => {
  server = await startPlayground();
  client = clientOf(server);
});

afterEach(async () => {
  client.destroy();
  await server[Symbol.asyncDispose]();
});

async function bytesOf(output: GetObjectCommandOutput): Promise<Buffer> {
  return Buffer.from((await output.Body?.transformToByteArray()) ?? []);
}

const md5 = (data: string | Buffer): string => createHash('md5').update(data).digest('hex');
const big = Buffer.alloc(3_000_000, 'wire under test, ');

describe('buckets', () => {
  it('are made, found, listed and removed', async () => {
    await client.send(new CreateBucketCommand({ Bucket: 'second' }));
    await client.send(new HeadBucketCommand({ Bucket: 'second' }));
    const { Buckets } = await client.send(new ListBucketsCommand({}));
    expect(Buckets?.map((each) => each.Name)).toEqual(['second', 'shared']);
    const { LocationConstraint } = await client.send(new GetBucketLocationCommand({ Bucket }));
    expect(LocationConstraint).toBeUndefined();
    await client.send(new DeleteBucketCommand({ Bucket: 'second' }));
    expect(await refusal(client.send(new HeadBucketCommand({ Bucket: 'second' })))).toMatchObject({
      status: 404,
    });
  });

  it('are not made twice, with a bad name, nor removed with something in them', async () => {
    const make = async (name: string): Promise<string> =>
      (await refusal(client.send(new CreateBucketCommand({ Bucket: name })))).name;
    expect(await make('shared')).toBe('BucketAlreadyOwnedByYou');
    expect(await make('No_Good')).toBe('InvalidBucketName');
    server.foreign.putObject(Bucket, Key, 'x');
    const removal = refusal(client.send(new DeleteBucketCommand({ Bucket })));
    expect((await removal).name).toBe('BucketNotEmpty');
  });
});

describe('PutObject and GetObject', () => {
  it('give back small and large bodies, with MD5 for an ETag', async () => {
    for (const body of [Buffer.alloc(0), Buffer.from('x'), big]) {
      const put = await client.send(new PutObjectCommand({ Bucket, Key, Body: body }));
      expect(put.ETag).toBe(`"${md5(body)}"`);
      const got = await client.send(new GetObjectCommand({ Bucket, Key }));
      expect((await bytesOf(got)).equals(body)).toBe(true);
      expect(got.ContentLength).toBe(body.length);
    }
  });

  it('take a stream in aws-chunked framing with a trailing checksum', async () => {
    const Body = Readable.from([big.subarray(0, 1_000_000), big.subarray(1_000_000)]);
    await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength: big.length }));
    expect((await server.foreign.getObject(Bucket, Key))?.equals(big)).toBe(true);
  });

  it.each(['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const)(
    'verify, keep and echo %s',
    async (ChecksumAlgorithm) => {
      const field = `Checksum${ChecksumAlgorithm}` as const;
      const put = await client.send(
        new PutObjectCommand({ Bucket, Key, Body: 'hello', ChecksumAlgorithm }),
      );
      expect(put[field]).toBeTypeOf('string');
      const head = await client.send(
        new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }),
      );
      expect(head[field]).toBe(put[field]);
      const wrong = { ...{ Bucket, Key, Body: 'other' }, [field]: put[field] };
      expect(await refusal(client.send(new PutObjectCommand(wrong)))).toMatchObject({
        name: 'BadDigest',
        status: 400,
      });
    },
  );

  it('refuse a wrong Content-MD5 and keep nothing of it', async () => {
    const ContentMD5 = Buffer.from(md5('y'), 'hex').toString('base64');
    const put = client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ContentMD5 }));
    expect((await refusal(put)).name).toBe('BadDigest');
    expect(server.foreign.objects(Bucket)).toEqual([]);
  });

  it('keep content headers and metadata up to 2 KiB', async () => {
    const put = { Bucket, Key, Body: 'x', ContentType: 'text/x', CacheControl: 'no-cache' };
    await client.send(new PutObjectCommand({ ...put, Metadata: { mode: '33188' } }));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    expect(head).toMatchObject({
      ContentType: 'text/x',
      CacheControl: 'no-cache',
      Metadata: { mode: '33188' },
    });
    const fits = { a: 'x'.repeat(2048 - 'x-amz-meta-a'.length) };
    await client.send(new PutObjectCommand({ ...put, Metadata: fits }));
    const over = client.send(new PutObjectCommand({ ...put, Metadata: { a: `${fits.a}x` } }));
    expect((await refusal(over)).name).toBe('MetadataTooLarge');
  });

  it('take every key that is valid UTF-8, up to 1,024 bytes', async () => {
    const keys = [
      'sp ace+pl&us%25',
      'ünï☃\u{1F600}',
      'dir/',
      "a'b(c)!*~",
      '=?#x',
      '//',
      'a/../b',
      '\u0001\n',
    ];
    for (const each of keys) {
      await client.send(new PutObjectCommand({ Bucket, Key: each, Body: each }));
      const got = await bytesOf(await client.send(new GetObjectCommand({ Bucket, Key: each })));
      expect(got.toString()).toBe(each);
    }
    expect(
      server.foreign
        .objects(Bucket)
        .map(({ key }) => key)
        .sort(),
    ).toEqual(keys.sort());
    const long = client.send(new PutObjectCommand({ Bucket, Key: 'é'.repeat(513), Body: 'x' }));
    expect((await refusal(long)).name).toBe('KeyTooLongError');
  });

  it('override headers as the query asks', async () => {
    server.foreign.putObject(Bucket, Key, 'x');
    const got = await client.send(
      new GetObjectCommand({
        Bucket,
        Key,
        ResponseContentType: 'text/y',
        ResponseExpires: undefined,
      }),
    );
    expect(got.ContentType).toBe('text/y');
  });

  it('wait with the body until 100-continue, and refuse before it', async () => {
    const put = presign(server.url, { method: 'PUT', path: '/shared/e', body: 'hello' }, root, 60);
    put.headers['expect'] = '100-continue';
    const reply = await send(server.url, put);
    expect([reply.status, reply.continued]).toEqual([200, true]);
    const bad = presign(server.url, { method: 'PUT', path: '/none/e', body: 'hello' }, root, 60);
    bad.headers['expect'] = '100-continue';
    const refused = await send(server.url, bad);
    expect([refused.status, refused.continued]).toEqual([404, false]);
  });

  it('answer in virtual-host style', async () => {
    server.foreign.putObject(Bucket, Key, 'hello');
    const headers = { host: `shared.localhost:${server.port}` };
    const reply = await call(server.url, { path: '/folder/file', headers }, root);
    expect(reply.text).toBe('hello');
  });

  it('show nothing of a body that broke off', async () => {
    const raw = { method: 'PUT', path: '/shared/half', payload: 'UNSIGNED-PAYLOAD' };
    const { headers } = sign(server.url, raw, root);
    const lines = Object.entries({ ...headers, 'content-length': '100000' });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const socket = connect(server.port, '127.0.0.1');
    socket.write(`PUT /shared/half HTTP/1.1\r\n${head}\r\n${'x'.repeat(70_000)}`);
    const received = (): number => server.counters.snapshot()['PutObject']?.bytesIn ?? 0;
    await expect.poll(received).toBe(70_000);
    socket.destroy();
    await expect.poll(() => server.counters.snapshot()['PutObject']?.errors).toBe(1);
    expect(server.foreign.head(Bucket, 'half')).toBeUndefined();
  });

  it('verify CRC-64/NVME, by its catalogue value', async () => {
    const put = async (value: string): Promise<string | undefined> => {
      const headers = { 'x-amz-checksum-crc64nvme': value };
      const raw = { method: 'PUT', path: '/shared/crc', body: '123456789', headers };
      return codeOf(await call(server.url, raw, root));
    };
    expect(await put('AAAAAAAAAAA=')).toBe('BadDigest');
    expect(await put(Buffer.from('ae8b14860a799888', 'hex').toString('base64'))).toBeUndefined();
  });
});

describe('ranges', () => {
  const ranges: readonly [string, number, number, number][] = [
    ['bytes=0-0', 206, 0, 1],
    ['bytes=1000000-1999999', 206, 1_000_000, 2_000_000],
    ['bytes=2999990-', 206, 2_999_990, 3_000_000],
    ['bytes=2999990-9999999', 206, 2_999_990, 3_000_000],
    ['bytes=-10', 206, 2_999_990, 3_000_000],
    ['bytes=-9999999', 206, 0, 3_000_000],
    ['bytes=0-1,4-5', 200, 0, 3_000_000],
    ['bytes=5-2', 200, 0, 3_000_000],
  ];

  it.each(ranges)('%s is answered with %i', async (Range, status, start, end) => {
    server.foreign.putObject(Bucket, Key, big);
    const got = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
    expect(got.$metadata.httpStatusCode).toBe(status);
    expect((await bytesOf(got)).equals(big.subarray(start, end))).toBe(true);
    const expected = status === 206 ? `bytes ${start}-${end - 1}/3000000` : undefined;
    expect(got.ContentRange).toBe(expected);
  });

  it.each(['bytes=3000000-', 'bytes=-0'])('%s is refused with 416', async (Range) => {
    server.foreign.putObject(Bucket, Key, big);
    const got = client.send(new GetObjectCommand({ Bucket, Key, Range }));
    expect(await refusal(got)).toMatchObject({ name: 'InvalidRange', status: 416 });
  });

  it('are cut right out of files, whatever the range', async () => {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: big }));
    await fc.assert(
      fc.asyncProperty(fc.nat(big.length - 1), fc.nat(600_000), async (start, length) => {
        const end = Math.min(start + length, big.length);
        const got = await server.foreign.getObject(Bucket, Key, { start, end });
        expect(got?.equals(big.subarray(start, end))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe('conditions', () => {
  const etag = md5('old');
  const put = { Bucket, Key, Body: 'new' };

  beforeEach(() => {
    server.foreign.putObject(Bucket, Key, 'old');
  });

  it('hold on reads', async () => {
    const get = async (more: object): Promise<number | undefined> => {
      const read = client.send(new GetObjectCommand({ Bucket, Key, ...more }));
      return await read.then(
        (got) => got.$metadata.httpStatusCode,
        (error: unknown) =>
          (error as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode,
      );
    };
    const hour = 3_600_000;
    expect(await get({ IfMatch: `"${etag}"` })).toBe(200);
    expect(await get({ IfMatch: '"no"' })).toBe(412);
    expect(await get({ IfNoneMatch: `"${etag}"` })).toBe(304);
    expect(await get({ IfNoneMatch: '"no"' })).toBe(200);
    expect(await get({ IfModifiedSince: new Date(Date.now() + hour) })).toBe(304);
    expect(await get({ IfModifiedSince: new Date(Date.now() - hour) })).toBe(200);
    expect(await get({ IfUnmodifiedSince: new Date(Date.now() - hour) })).toBe(412);
    expect(await get({ IfUnmodifiedSince: new Date(Date.now() + hour) })).toBe(200);
  });

  it('hold on writes', async () => {
    const name = async (more: object): Promise<string> =>
      (await refusal(client.send(new PutObjectCommand({ ...put, ...more })))).name;
    expect(await name({ IfNoneMatch: '*' })).toBe('PreconditionFailed');
    expect(await name({ IfMatch: '"no"' })).toBe('PreconditionFailed');
    expect(await name({ IfMatch: '"no"', Key: 'missing' })).toBe('NoSuchKey');
    await client.send(new PutObjectCommand({ ...put, IfMatch: `"${etag}"` }));
    await client.send(new PutObjectCommand({ ...put, IfNoneMatch: '*', Key: 'fresh' }));
    expect(server.foreign.head(Bucket, Key)?.etag).toBe(md5('new'));
  });

  it('let exactly one of many writers make a new object', async () => {
    const writes = Array.from({ length: 20 }, async (_, i) => {
      const one = { Bucket, Key: 'race', Body: `${i}`, IfNoneMatch: '*' };
      return await client.send(new PutObjectCommand(one)).then(
        () => true,
        () => false,
      );
    });
    expect((await Promise.all(writes)).filter(Boolean)).toHaveLength(1);
  });

  it('hold when the body has come, not only when the request did', async () => {
    const headers = { 'if-none-match': '*' };
    const raw = { method: 'PUT', path: '/shared/late', payload: 'UNSIGNED-PAYLOAD', headers };
    const signed = sign(server.url, raw, root);
    const options = { port: server.port, method: 'PUT', path: '/shared/late' };
    const request = httpRequest({
      ...options,
      headers: { ...signed.headers, 'content-length': 2 },
    });
    const status = new Promise((resolve) => {
      request.on('response', (response) => resolve(response.resume().statusCode));
    });
    request.write('x');
    await expect.poll(() => server.counters.snapshot()['PutObject']?.bytesIn).toBe(1);
    server.foreign.putObject(Bucket, 'late', 'first');
    request.end('y');
    expect(await status).toBe(412);
    expect((await server.foreign.getObject(Bucket, 'late'))?.toString()).toBe('first');
  });

  it('hold on deletions', async () => {
    const wrong = client.send(new DeleteObjectCommand({ Bucket, Key, IfMatch: '"no"' }));
    expect((await refusal(wrong)).name).toBe('PreconditionFailed');
    await client.send(new DeleteObjectCommand({ Bucket, Key, IfMatch: `"${etag}"` }));
    expect(server.foreign.objects(Bucket)).toEqual([]);
  });
});

describe('deleting', () => {
  it('is done when there is nothing left, also of what never was', async () => {
    server.foreign.putObject(Bucket, Key, 'x');
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    expect((await refusal(client.send(new HeadObjectCommand({ Bucket, Key })))).status).toBe(404);
  });

  it('takes many keys at once', async () => {
    for (const key of ['a', 'b & <c>', 'd']) server.foreign.putObject(Bucket, key, key);
    const Objects = [{ Key: 'a' }, { Key: 'b & <c>' }, { Key: 'never' }];
    const reply = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(reply.Deleted?.map((each) => each.Key)).toEqual(['a', 'b & <c>', 'never']);
    expect(server.foreign.objects(Bucket).map(({ key }) => key)).toEqual(['d']);
    const bad = await call(
      server.url,
      { method: 'POST', path: '/shared', query: { delete: '' }, body: '<Delete><Object></Delete>' },
      root,
    );
    expect(codeOf(bad)).toBe('MalformedXML');
  });

  it('gives the disk back once the last reader is done', async () => {
    const storage = await mkdtemp(join(tmpdir(), 'wire-test-'));
    const own = await startPlayground('aws', { storage });
    const ownClient = clientOf(own);
    try {
      await ownClient.send(new PutObjectCommand({ Bucket, Key, Body: big }));
      await ownClient.send(
        new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/${Key}` }),
      );
      const files = async (): Promise<number> => {
        const [folder = ''] = await readdir(storage);
        return (await readdir(join(storage, folder))).length;
      };
      expect(await files()).toBe(1);
      await ownClient.send(new DeleteObjectCommand({ Bucket, Key }));
      expect(await files()).toBe(1);
      const copy = await ownClient.send(new GetObjectCommand({ Bucket, Key: 'copy' }));
      own.foreign.deleteObject(Bucket, 'copy');
      expect((await bytesOf(copy)).equals(big)).toBe(true);
      await expect.poll(files).toBe(0);
      const upload = { Bucket, Key };
      const { UploadId } = await ownClient.send(new CreateMultipartUploadCommand(upload));
      const part = { ...upload, UploadId, PartNumber: 1, Body: big };
      await ownClient.send(new UploadPartCommand(part));
      expect(await files()).toBe(1);
      await ownClient.send(new AbortMultipartUploadCommand({ ...upload, UploadId }));
      await expect.poll(files).toBe(0);
    } finally {
      ownClient.destroy();
      await own[Symbol.asyncDispose]();
    }
    expect(await readdir(storage)).toEqual([]);
    await rm(storage, { recursive: true });
  });
});

describe('CopyObject', () => {
  const CopySource = `${Bucket}/${encodeURIComponent('from & ü')}`;

  beforeEach(() => {
    server.foreign.putObject(Bucket, 'from & ü', 'text', { 'x-amz-meta-a': '1' });
  });

  it('copies bytes and metadata, or replaces the metadata', async () => {
    const copied = await client.send(new CopyObjectCommand({ Bucket, Key, CopySource }));
    expect(copied.CopyObjectResult?.ETag).toBe(`"${md5('text')}"`);
    expect(server.foreign.head(Bucket, Key)?.headers).toMatchObject({ 'x-amz-meta-a': '1' });
    const replace = { MetadataDirective: 'REPLACE', Metadata: { b: '2' } } as const;
    await client.send(
      new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${Key}`, ...replace }),
    );
    const { headers } = server.foreign.head(Bucket, Key) ?? {};
    expect(headers).toEqual({ 'content-type': 'binary/octet-stream', 'x-amz-meta-b': '2' });
    expect((await server.foreign.getObject(Bucket, Key))?.toString()).toBe('text');
  });

  it('refuses a copy onto itself that changes nothing, a missing source, and failed conditions', async () => {
    const name = async (more: object): Promise<string> =>
      (await refusal(client.send(new CopyObjectCommand({ Bucket, Key, CopySource, ...more }))))
        .name;
    expect(await name({ Key: 'from & ü' })).toBe('InvalidRequest');
    expect(await name({ CopySource: `${Bucket}/none` })).toBe('NoSuchKey');
    expect(await name({ CopySourceIfMatch: '"no"' })).toBe('PreconditionFailed');
    expect(await name({ CopySourceIfNoneMatch: '*' })).toBe('PreconditionFailed');
    server.foreign.putObject(Bucket, Key, 'there');
    expect(await name({ IfNoneMatch: '*' })).toBe('PreconditionFailed');
  });
});

describe('listings', () => {
  it('of both versions page through everything in byte order', async () => {
    const keys = ['B', 'a', 'a-b', 'a/b', 'z/1', 'z/2', 'é', '\uFF5E', '\u{1F600}'];
    for (const key of keys) server.foreign.putObject(Bucket, key, key);
    for (const MaxKeys of [1, 2, 1000]) {
      const [v1, v2]: string[][] = [[], []];
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({ Bucket, MaxKeys, ContinuationToken: token }),
        );
        v2?.push(...(page.Contents ?? []).map((each) => each.Key ?? ''));
        token = page.NextContinuationToken;
      } while (token !== undefined);
      let Marker: string | undefined;
      do {
        const page = await client.send(new ListObjectsCommand({ Bucket, MaxKeys, Marker }));
        v1?.push(...(page.Contents ?? []).map((each) => each.Key ?? ''));
        Marker = page.IsTruncated === true ? v1?.at(-1) : undefined;
      } while (Marker !== undefined);
      expect([v1, v2]).toEqual([keys, keys]);
    }
  });

  it('fold, start after, encode, and refuse what they cannot read', async () => {
    for (const key of ['l/1', 'l/2/x', 'l/2/y', 'l/3 +&'])
      server.foreign.putObject(Bucket, key, 'x');
    const folded = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix: 'l/', Delimiter: '/' }),
    );
    expect(folded.CommonPrefixes).toEqual([{ Prefix: 'l/2/' }]);
    expect(folded.KeyCount).toBe(3);
    const after = await client.send(
      new ListObjectsV2Command({ Bucket, StartAfter: 'l/2/x', EncodingType: 'url' }),
    );
    expect(after.Contents?.map((each) => each.Key)).toEqual(['l/2/y', 'l/3+%2B%26']);
    const bad = client.send(new ListObjectsV2Command({ Bucket, ContinuationToken: 'bad' }));
    expect((await refusal(bad)).name).toBe('InvalidArgument');
  });
});

describe('versions', () => {
  it('are kept, read, listed and deleted one by one once switched on', async () => {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'zero' }));
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const one = await client.send(new PutObjectCommand({ Bucket, Key, Body: 'one' }));
    const marker = await client.send(new DeleteObjectCommand({ Bucket, Key }));
    expect(marker.DeleteMarker).toBe(true);
    expect((await refusal(client.send(new GetObjectCommand({ Bucket, Key })))).name).toBe(
      'NoSuchKey',
    );
    const read = async (VersionId: string | undefined): Promise<string> =>
      (
        await bytesOf(await client.send(new GetObjectCommand({ Bucket, Key, VersionId })))
      ).toString();
    expect(await read('null')).toBe('zero');
    expect(await read(one.VersionId)).toBe('one');
    expect((await refusal(read('nope'))).name).toBe('NoSuchVersion');
    const listed = await client.send(new ListObjectVersionsCommand({ Bucket }));
    expect(listed.Versions?.map((each) => each.VersionId)).toEqual([one.VersionId, 'null']);
    expect(listed.DeleteMarkers).toMatchObject([{ IsLatest: true, VersionId: marker.VersionId }]);
    await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId: marker.VersionId }));
    expect(await read(undefined)).toBe('one');
    await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId: one.VersionId }));
    expect(await read(undefined)).toBe('zero');
  });
});
