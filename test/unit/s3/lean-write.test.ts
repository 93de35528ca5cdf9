/** Writes without an SDK: what is sent, how it is known to be whole, and what becomes of trouble. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toErrno } from '../../../src/fs/errno.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import type { S3Options } from '../../../src/s3/s3-connection.ts';
import { etagOfParts } from '../../../src/s3/s3-encoding.ts';
import { createS3Stores, type S3Stores } from '../../../src/s3/s3-object-stores.ts';
import type { CredentialSource, Credentials } from '../../../src/sts/credential-source.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { patternBytes } from '../../fixtures/object-store-contract.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';
import {
  errorAnswer,
  refusalOf,
  type ScriptedAnswer,
  ScriptedS3,
  type SeenRequest,
} from '../../fixtures/scripted-s3.ts';

const forever = new AbortController().signal;
const hello = Buffer.from('hello');
const helloEtag = '"5d41402abc4b2a76b9719d911017c592"';
const helloCrc = 'NhCmhg==';
const done: ScriptedAnswer = { headers: { etag: helloEtag } };

/** Leases numbered from 1. */
class Leases implements CredentialSource {
  renewals = 0;

  async credentials(): Promise<Credentials> {
    return await Promise.resolve({
      accessKeyId: `LEASE${this.renewals + 1}`,
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret('token'),
      expiresAtMs: Number.MAX_SAFE_INTEGER,
    });
  }

  async renew(): Promise<Credentials> {
    this.renewals += 1;
    return await this.credentials();
  }
}

let server: ScriptedS3;
let clock: InstantClock;
let leases: Leases;
const opened: S3Stores[] = [];

beforeEach(async () => {
  server = await ScriptedS3.start();
  clock = new InstantClock();
  leases = new Leases();
});

afterEach(async () => {
  for (const stores of opened.splice(0)) await stores[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function open(more: Partial<S3Options> = {}): ReturnType<S3Stores['open']> {
  const stores = createS3Stores({
    network: plainNetwork,
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials: leases,
    clock,
    log: silentLog,
    random: () => 0.5,
    ...more,
  });
  opened.push(stores);
  return stores.open('bucket');
}

const methods = (): readonly string[] => server.requests.map(({ method }) => method);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const isStart = ({ method, url }: SeenRequest): boolean =>
  method === 'POST' && url.includes('uploads=');
const started: ScriptedAnswer = { body: '<R><UploadId>u</UploadId></R>' };

describe('the body of a write', () => {
  it('is signed over plain HTTP, and carries a CRC-32 while the server may check one', async () => {
    server.play(() => done);
    const store = open();
    await store.put('key', hello, {}, forever);
    await store.put('key', hello, {}, forever);
    const [first, second] = server.requests;
    expect(first?.headers).toMatchObject({ 'x-amz-checksum-crc32': helloCrc });
    // The answer said nothing of it (Ceph RGW 16).
    expect(second?.headers['x-amz-checksum-crc32']).toBeUndefined();
    for (const { headers } of server.requests) {
      expect(headers['x-amz-content-sha256']).toBe(sha256(hello));
      expect(headers['content-length']).toBe('5');
    }
  });

  it('carries it on where the server says that it checked it', async () => {
    server.play(() => ({ headers: { etag: helloEtag, 'x-amz-checksum-crc32': helloCrc } }));
    const store = open();
    for (let times = 0; times < 3; times += 1) await store.put('key', hello, {}, forever);
    expect(server.requests.map(({ headers }) => headers['x-amz-checksum-crc32'])).toEqual([
      helloCrc,
      helloCrc,
      helloCrc,
    ]);
  });

  it.each([
    [501, 'NotImplemented'],
    [400, 'InvalidRequest'],
  ])('goes again without it where a server answers %i %s', async (status, code) => {
    server.play(({ headers }) =>
      headers['x-amz-checksum-crc32'] === undefined ? done : errorAnswer(status, code),
    );
    const store = open();
    expect(await store.put('key', hello, {}, forever)).toMatchObject({ etag: helloEtag });
    await store.put('key', hello, {}, forever);
    expect(methods()).toHaveLength(3);
    // What is refused for itself is told, after no more than that one try.
    server.play(() => errorAnswer(status, code));
    expect(await refusalOf(store.put('key', hello, {}, forever))).toMatchObject({
      kind: 'unsupported',
    });
  });

  it('arrives whole, however long', async () => {
    server.play(() => done);
    for (const bytes of [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MiB + 17]) {
      const body = patternBytes(bytes);
      await open().put('key', body, {}, forever);
      expect(server.requests.at(-1)?.body.equals(body), `${bytes}`).toBe(true);
    }
    expect(server.requests.every(({ headers }) => headers.expect === undefined)).toBe(true);
  });
});

describe('what is said of an object', () => {
  it('goes with everything that makes one, and with nothing else', async () => {
    server.play((request) => {
      if (isStart(request)) return started;
      if (request.method === 'PUT' && request.url.includes('partNumber')) return done;
      if (request.headers['x-amz-copy-source'] !== undefined || request.method === 'POST') {
        return { body: `<R><ETag>${helloEtag}</ETag></R>` };
      }
      return done;
    });
    const keep = {
      encryption: 'kms',
      kmsKey: 'key-7',
      storageClass: 'STANDARD_IA',
      acl: 'bucket-owner-full-control',
    } as const;
    const store = open({ keep });
    const from = { key: 'from', etag: helloEtag, bytes: 5, modifiedMs: 0 };
    await store.put('a.png', hello, { metadata: { mode: '33188' } }, forever);
    await store.copy(from, 'b', {}, forever);
    await store.copy(from, 'c.csv', { metadata: { mode: '7' } }, forever);
    const upload = await store.startUpload('d', { contentType: 'x/y' }, forever);
    const part = await store.uploadPart(upload, 1, hello, forever);
    await store.completeUpload(upload, [part], undefined, forever);
    await store.delete('e', forever);
    const kept = {
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-7',
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-acl': 'bucket-owner-full-control',
    };
    const [put, copy, replacing, start, ...others] = server.requests.map(({ headers }) => headers);
    expect(put).toMatchObject({
      ...kept,
      'content-type': 'image/png',
      'x-amz-meta-mode': '33188',
    });
    expect(copy).toMatchObject({ ...kept, 'x-amz-metadata-directive': 'COPY' });
    expect(copy?.['content-type']).toBeUndefined();
    expect(replacing).toMatchObject({
      ...kept,
      'content-type': 'text/csv',
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-meta-mode': '7',
    });
    expect(start).toMatchObject({ ...kept, 'content-type': 'x/y' });
    for (const headers of others) {
      for (const name of Object.keys(kept)) expect(headers[name]).toBeUndefined();
    }
  });
});

describe('a write whose answer got lost', () => {
  const present = (more: Readonly<Record<string, string | number>>): ScriptedAnswer => ({
    headers: { etag: '"no-md5"', 'content-length': 5, ...more },
  });
  const kms = { 'x-amz-server-side-encryption': 'aws:kms' };

  it.each([
    ['under SSE-KMS by its length and CRC-32', { ...kms, 'x-amz-checksum-crc32': helloCrc }, true],
    ['not by another CRC-32', { ...kms, 'x-amz-checksum-crc32': 'AAAAAA==' }, false],
    [
      'not by another length',
      { ...kms, 'x-amz-checksum-crc32': helloCrc, 'content-length': 6 },
      false,
    ],
    [
      'not without SSE-KMS, where its ETag would be its MD5',
      { 'x-amz-checksum-crc32': helloCrc },
      false,
    ],
  ])('is known again %s', async (_, headers, isOurs) => {
    server.play((request, nth) => {
      if (request.method === 'HEAD') return present(headers);
      return nth === 1 ? { reset: true } : errorAnswer(412, 'PreconditionFailed');
    });
    const putting = open().put('key', hello, { precondition: { must: 'be-absent' } }, forever);
    const outcome: unknown = await putting.catch((error: unknown) => error);
    expect(outcome).toMatchObject(isOurs ? { etag: '"no-md5"', bytes: 5 } : { kind: 'exists' });
  });

  it('on a connection that had been kept is no conflict with itself', async () => {
    // The first answer keeps the connection; the second request is done, and the connection ends.
    server.play((request, nth) => {
      if (request.method === 'HEAD') return { headers: { etag: helloEtag, 'content-length': 5 } };
      if (nth === 1) return done;
      return nth === 2 ? { reset: true } : errorAnswer(412, 'PreconditionFailed');
    });
    const store = open();
    await store.put('other', hello, {}, forever);
    const version = await store.put('key', hello, { precondition: { must: 'be-absent' } }, forever);
    expect(version).toMatchObject({ etag: helloEtag, bytes: 5 });
    // Sent again at once: that is no failure, and there is no pause.
    expect(clock.slept).toEqual([]);
  });
});

describe('a server in trouble', () => {
  it('that throttles is waited for within the budget, and then it is EIO', async () => {
    server.play((_, nth) => (nth < 4 ? errorAnswer(503, 'SlowDown') : done));
    expect(await open().put('key', hello, {}, forever)).toMatchObject({ etag: helloEtag });
    server.play(() => errorAnswer(503, 'SlowDown'));
    const startedMs = clock.monotonic();
    const refusal = await refusalOf(open().put('key', hello, {}, forever));
    expect(refusal.kind).toBe('unavailable');
    expect(toErrno(refusal)).toBe('EIO');
    expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(30_000);
  });

  it('whose lease ends in the middle of an upload has that part again, and no other', async () => {
    const sent: string[] = [];
    server.play((request) => {
      if (isStart(request)) return started;
      const lease = /Credential=(\w+)\//.exec(String(request.headers.authorization))?.[1] ?? '';
      const part = /partNumber=(\d+)/.exec(request.url)?.[1] ?? '';
      sent.push(`${part} by ${lease}`);
      if (part === '2' && lease === 'LEASE1') return errorAnswer(400, 'ExpiredToken');
      return done;
    });
    const store = open();
    const upload = await store.startUpload('key', {}, forever);
    for (const number of [1, 2, 3]) await store.uploadPart(upload, number, hello, forever);
    expect(sent).toEqual(['1 by LEASE1', '2 by LEASE1', '2 by LEASE2', '3 by LEASE2']);
    expect(leases.renewals).toBe(1);
  });

  it('tells an error with 200, and is asked again where that may help', async () => {
    const from = { key: 'from', etag: helloEtag, bytes: 5, modifiedMs: 0 };
    const error = (code: string): ScriptedAnswer => ({
      body: `<Error><Code>${code}</Code></Error>`,
    });
    server.play((_, nth) =>
      nth === 1 ? error('InternalError') : { body: `  \n<R><ETag>${helloEtag}</ETag></R>` },
    );
    expect(await open().copy(from, 'to', {}, forever)).toMatchObject({ etag: helloEtag });
    server.play(() => error('PreconditionFailed'));
    expect(await refusalOf(open().copy(from, 'to', {}, forever))).toMatchObject({
      kind: 'precondition-failed',
    });
    expect(methods()).toEqual(['PUT']);
  });
});

describe('the credentials of a write', () => {
  it('are asked to last as long as the body will take, by how it went before', async () => {
    const wanted: number[] = [];
    const asking = {
      credentials: async () => await leases.credentials(),
      renew: async () => await leases.renew(),
      lasting: async (ms: number) => {
        wanted.push(ms);
        return await leases.credentials();
      },
    };
    server.play(() => {
      // Two seconds each: 4 MiB a second.
      void clock.sleep(2000, forever);
      return done;
    });
    const store = open({ credentials: asking });
    const body = patternBytes(8 * MiB);
    await store.put('short', hello, {}, forever);
    for (let times = 0; times < 12; times += 1) await store.put('key', body, {}, forever);
    // At first a MiB a second is expected; twice that, and five seconds.
    expect(wanted[0]).toBe(2 * 8000 + 5000);
    expect(wanted).toHaveLength(12);
    expect(wanted.at(-1)).toBeLessThan(2 * 2100 + 5000);
    expect(wanted.at(-1)).toBeGreaterThan(2 * 2000 + 5000);
  });
});

describe('a completion', () => {
  const upload = { key: 'key', uploadId: 'u' };
  const parts = [{ number: 1, etag: helloEtag, bytes: 5 }];
  const whole = '"whole-1"';
  const completed = (headers: Readonly<Record<string, string>>): ScriptedAnswer => ({
    headers,
    body: `<R><ETag>${whole}</ETag></R>`,
  });
  const isAsking = ({ url }: SeenRequest): boolean => url.includes(`uploadId=${'0'.repeat(32)}`);

  /** A server that says it is `name`, and looks at conditions or not. */
  function play(name: string | undefined, looks: boolean): void {
    const headers: Record<string, string> = name === undefined ? {} : { server: name };
    server.play((request) => {
      if (request.method === 'HEAD') return { status: 404, headers };
      if (!isAsking(request)) return completed(headers);
      return errorAnswer(looks ? 412 : 404, looks ? 'PreconditionFailed' : 'NoSuchUpload');
    });
  }

  it.each([
    ['MinIO', true, ['HEAD', 'POST', 'POST', 'POST', 'POST']],
    // Of the two questions the first is answered so that the second need not be asked.
    ['MinIO', false, ['HEAD', 'POST', 'POST', 'HEAD', 'POST']],
    ['AmazonS3', true, ['HEAD', 'POST', 'POST']],
    [undefined, false, ['HEAD', 'POST', 'HEAD', 'POST']],
  ])('at %s, which looks at its conditions: %s', async (name, looks, requests) => {
    play(name, looks);
    const store = open();
    for (let times = 0; times < 2; times += 1) {
      await store.completeUpload(upload, parts, { must: 'be-absent' }, forever);
    }
    expect(methods()).toEqual(requests);
    // What was asked could do nothing, and was asked under a condition that cannot hold.
    for (const { headers } of server.requests.filter(isAsking)) {
      expect(headers['if-none-match'] ?? headers['if-match']).toMatch(/^(?:\*|0+)$/);
    }
  });

  it('that a server did, and answers with trouble ever after, is done (Ceph RGW 16)', async () => {
    const etag = etagOfParts([helloEtag]);
    server.play((request, nth) => {
      if (nth === 1) return { reset: true };
      if (request.method === 'POST') return errorAnswer(500, 'InternalError');
      return { headers: { etag, 'content-length': 5 } };
    });
    const version = await open().completeUpload(upload, parts, undefined, forever);
    expect(version).toMatchObject({ etag, bytes: 5 });
    expect(methods()).toEqual(['POST', 'POST', 'HEAD']);
  });

  it('of an upload that is gone is told at once, whatever the server calls it', async () => {
    server.play((request) => {
      if (request.method === 'POST') return errorAnswer(500, 'InternalError');
      return request.method === 'GET' ? errorAnswer(404, 'NoSuchKey') : { status: 404 };
    });
    const refusal = await refusalOf(open().completeUpload(upload, parts, undefined, forever));
    expect(refusal).toMatchObject({ kind: 'not-found' });
    expect(clock.slept).toEqual([]);
  });
});

describe('uploads under way', () => {
  it('are told page after page, those of other keys left out', async () => {
    const entry = (key: string, id: string): string =>
      `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>2015-10-21T07:28:00.000Z</Initiated></Upload>`;
    server.play(({ url }) => ({
      body: url.includes('key-marker')
        ? `<R><IsTruncated>true</IsTruncated>${entry('a%20b', 'two')}${entry('a%20bc', 'other')}</R>`
        : `<R><IsTruncated>true</IsTruncated><NextKeyMarker>a%20b</NextKeyMarker>
           <NextUploadIdMarker>one</NextUploadIdMarker>${entry('a%20b', 'one')}</R>`,
    }));
    const listed = await open().listUploads('a%20b', forever);
    expect(listed.map(({ uploadId }) => uploadId)).toEqual(['one', 'two']);
    expect(server.requests.map(({ url }) => url.split('?')[1])).toEqual([
      'prefix=a%2520b&uploads=',
      'key-marker=a%2520b&prefix=a%2520b&upload-id-marker=one&uploads=',
    ]);
  });

  it('have their parts told with what a completion needs of them', async () => {
    const part = (number: number): string =>
      `<Part><PartNumber>${number}</PartNumber><ETag>&quot;e${number}&quot;</ETag><Size>${number}</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>`;
    server.play((request) => {
      if (request.method === 'POST') return { body: '<R><ETag>"whole-2"</ETag></R>' };
      return request.url.includes('part-number-marker=1')
        ? { body: `<R><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>${part(2)}</R>` }
        : {
            body: `<R><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><IsTruncated>true</IsTruncated>
              <NextPartNumberMarker>1</NextPartNumberMarker>${part(1)}</R>`,
          };
    });
    const store = open();
    const upload = { key: 'key', uploadId: 'u' };
    const parts = await store.listParts(upload, forever);
    expect(parts).toEqual([
      { number: 1, etag: '"e1"', bytes: 1, crc32: 'AAAAAA==' },
      { number: 2, etag: '"e2"', bytes: 2, crc32: 'AAAAAA==' },
    ]);
    expect(await store.completeUpload(upload, parts, undefined, forever)).toMatchObject({
      bytes: 3,
    });
    const sent = server.requests.at(-1)?.body.toString() ?? '';
    expect(sent.match(/<ChecksumCRC32>AAAAAA==<\/ChecksumCRC32>/g)).toHaveLength(2);
  });
});

/** A server that reads and answers as a test says, byte by byte. */
class RawServer implements AsyncDisposable {
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(serve: (socket: Socket, nth: number) => void): Promise<RawServer> {
    let count = 0;
    const raw = new RawServer(createServer());
    raw.#server.on('connection', (socket) => {
      raw.sockets.add(socket);
      socket.on('error', () => undefined);
      count += 1;
      serve(socket, count);
    });
    raw.#server.listen(0, '127.0.0.1');
    await once(raw.#server, 'listening');
    return raw;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await Promise.resolve();
  }
}

const okAnswer = `HTTP/1.1 200 OK\r\netag: ${helloEtag}\r\ncontent-length: 0\r\n\r\n`;

/** Answers when all of a body of `bytes` has come. */
function readAll(socket: Socket, bytes: number): void {
  const hash = { bytes: 0, crc: 0, head: '' };
  socket.on('data', (chunk: Buffer) => {
    let body = chunk;
    if (!hash.head.includes('\r\n\r\n')) {
      const text = hash.head + chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      hash.head = text;
      if (end === -1) return;
      body = Buffer.from(text.slice(end + 4), 'latin1');
    }
    hash.bytes += body.byteLength;
    hash.crc = crc32(body, hash.crc);
    if (hash.bytes >= bytes) socket.write(okAnswer);
  });
}

describe('a long body', () => {
  const body = patternBytes(16 * MiB);
  const options = { retryBudgetMs: 1000 };

  it('is no more sent once the server has refused it, and its refusal is told', async () => {
    let received = 0;
    await using raw = await RawServer.start((socket) => {
      const document = '<Error><Code>AccessDenied</Code></Error>';
      socket.once('data', (chunk) => {
        received += chunk.byteLength;
        socket.pause();
        const head = `HTTP/1.1 403 Forbidden\r\ncontent-length: ${document.length}\r\n\r\n`;
        socket.write(head + document);
      });
    });
    const store = open({ endpoint: raw.endpoint, ...options });
    const refusal = await refusalOf(store.put('key', body, {}, forever));
    expect(refusal).toMatchObject({ kind: 'access-denied', detail: { code: 'AccessDenied' } });
    expect(raw.sockets.size).toBe(1);
    expect(received).toBeLessThan(body.byteLength);
  });

  it('that was refused for a moment is sent again, from its start', async () => {
    await using raw = await RawServer.start((socket, nth) => {
      if (nth > 1) readAll(socket, body.byteLength);
      else {
        socket.once('data', () => {
          socket.pause();
          socket.write('HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n');
        });
      }
    });
    const store = open({ endpoint: raw.endpoint, ...options });
    expect(await store.put('key', body, {}, forever)).toMatchObject({ etag: helloEtag });
    expect(raw.sockets.size).toBe(2);
  });

  it('that nobody takes any more is given up, and sent on another connection', async () => {
    await using raw = await RawServer.start((socket, nth) => {
      if (nth > 1) readAll(socket, body.byteLength);
      else socket.once('data', () => socket.pause());
    });
    const store = open({ endpoint: raw.endpoint, ...options, silenceMs: 60 });
    expect(await store.put('key', body, {}, forever)).toMatchObject({ etag: helloEtag });
    expect(raw.sockets.size).toBe(2);
  });

  it('that gets on slowly is left in peace', async () => {
    let steps = 0;
    await using raw = await RawServer.start((socket) => {
      readAll(socket, body.byteLength);
      // A little at a time: the whole takes far longer than a silence may.
      socket.on('data', () => {
        steps += 1;
        if (steps > 40) return;
        socket.pause();
        setTimeout(() => socket.resume(), 25);
      });
    });
    const store = open({ endpoint: raw.endpoint, retryBudgetMs: 0, silenceMs: 100 });
    const startedMs = performance.now();
    expect(await store.put('key', body, {}, forever)).toMatchObject({ etag: helloEtag });
    expect(performance.now() - startedMs).toBeGreaterThan(600);
    expect(raw.sockets.size).toBe(1);
  });
});
