/** Writes over TLS: what guards the body where nobody can read or change it on its way. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasOpenssl, PrivateCa } from '../../../scripts/servers/private-ca.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { type Network, openNetwork } from '../../../src/net/network.ts';
import { createS3Stores, type S3Stores } from '../../../src/s3/s3-object-stores.ts';
import { patternBytes } from '../../fixtures/object-store-contract.ts';
import { TlsFront } from '../../fixtures/tls-front.ts';

const name = 'a write over TLS (needs the command openssl: apt-get install openssl)';
const forever = new AbortController().signal;
const etag = '"5d41402abc4b2a76b9719d911017c592"';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

const seen: Seen[] = [];
/** The server checks CRC-32s, and says so. */
let checks = true;

function crcOf(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method = '', url = '', headers } = request;
    const body = Buffer.concat(chunks);
    seen.push({ method, url, headers, body });
    const sum = headers['x-amz-checksum-crc32'];
    const algorithm = headers['x-amz-checksum-algorithm'];
    if (checks && sum !== undefined) response.setHeader('x-amz-checksum-crc32', sum);
    if (checks && algorithm !== undefined) {
      response.setHeader('x-amz-checksum-algorithm', algorithm);
    }
    response.setHeader('etag', etag);
    if (url.includes('uploads=')) response.end('<R><UploadId>u</UploadId></R>');
    else response.end(method === 'POST' ? `<R><ETag>${etag}</ETag></R>` : '');
  });
}

describe.skipIf(!hasOpenssl)(name, () => {
  let ca: PrivateCa;
  let front: TlsFront;
  let network: Network;

  beforeAll(async () => {
    ca = await PrivateCa.create();
    front = await TlsFront.answering(await ca.issue({ names: 'IP:127.0.0.1' }), answer);
    const surroundings = { environment: {}, clock: systemClock, log: silentLog };
    network = await openNetwork({ ca: ca.file }, surroundings, forever);
  });

  afterAll(async () => {
    await network[Symbol.asyncDispose]();
    await front[Symbol.asyncDispose]();
    await ca[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    seen.length = 0;
    checks = true;
  });

  function open(): S3Stores {
    const lease = {
      accessKeyId: 'ID',
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret('token'),
      expiresAtMs: Number.MAX_SAFE_INTEGER,
    };
    const current = async () => await Promise.resolve(lease);
    return createS3Stores({
      network,
      endpoint: front.url,
      region: 'us-east-1',
      credentials: { credentials: current, renew: current },
      clock: systemClock,
      log: silentLog,
    });
  }

  const payloads = (): unknown[] => seen.map(({ headers }) => headers['x-amz-content-sha256']);

  it('is guarded by its CRC-32 alone once the server has shown that it checks it', async () => {
    await using stores = open();
    const store = stores.open('bucket');
    const body = patternBytes(3 * MiB + 1);
    const sha256 = createHash('sha256').update(body).digest('hex');
    for (let times = 0; times < 2; times += 1) await store.put('key', body, {}, forever);
    expect(payloads()).toEqual([sha256, 'UNSIGNED-PAYLOAD']);
    for (const { headers, body: came } of seen) {
      expect(headers['x-amz-checksum-crc32']).toBe(crcOf(body));
      expect(came.equals(body)).toBe(true);
    }
  });

  it('is signed with its SHA-256 where the server checks no CRC-32', async () => {
    checks = false;
    await using stores = open();
    const body = Buffer.from('hello');
    for (let times = 0; times < 2; times += 1) {
      await stores.open('bucket').put('key', body, {}, forever);
    }
    const sha256 = createHash('sha256').update(body).digest('hex');
    expect(payloads()).toEqual([sha256, sha256]);
  });

  it('by parts names its sums only where every part is sent and the server takes them', async () => {
    const parts = [patternBytes(1000, 1), patternBytes(10, 2)];
    for (const [serverChecks, sendsEveryPart, sums] of [
      [true, true, 'crc32'],
      [true, false, undefined],
      [false, true, undefined],
    ] as const) {
      checks = serverChecks;
      seen.length = 0;
      await using stores = open();
      const store = stores.open('bucket');
      const upload = await store.startUpload('key', { sendsEveryPart }, forever);
      expect(upload.sums).toBe(sums);
      const sent = [];
      for (const [at, body] of parts.entries()) {
        sent.push(await store.uploadPart(upload, at + 1, body, forever));
      }
      await store.completeUpload(upload, sent, undefined, forever);
      const [, first, second, completion] = seen;
      expect(first?.headers['x-amz-checksum-crc32']).toBe(sums && crcOf(parts[0] ?? Buffer.of()));
      expect(first?.headers['x-amz-content-sha256'] === 'UNSIGNED-PAYLOAD').toBe(sums === 'crc32');
      const repeated = completion?.body.toString().match(/<ChecksumCRC32>[^<]+/g) ?? [];
      const wanted = sums === 'crc32' ? parts.map((part) => `<ChecksumCRC32>${crcOf(part)}`) : [];
      expect(repeated).toEqual(wanted);
      expect(second?.body.equals(parts[1] ?? Buffer.of())).toBe(true);
    }
  });
});
