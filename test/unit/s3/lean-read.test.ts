/** What the lean path does besides reading: the rest of a read's promises are in the store's tests. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toErrno } from '../../../src/fs/errno.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLog, silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { openNetwork } from '../../../src/net/network.ts';
import { crc32c } from '../../../src/s3/crc32c.ts';
import type { S3Options } from '../../../src/s3/s3-connection.ts';
import { createS3Stores, type S3Stores } from '../../../src/s3/s3-object-stores.ts';
import type { ETag } from '../../../src/store/object-store.ts';
import { BufferSink } from '../../../src/store/read-sink.ts';
import type { CredentialSource, Credentials } from '../../../src/sts/credential-source.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { patternBytes, readBytes } from '../../fixtures/object-store-contract.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';
import {
  errorAnswer,
  rangeAnswerOf,
  refusalOf,
  type ScriptedAnswer,
  ScriptedS3,
  type SeenRequest,
} from '../../fixtures/scripted-s3.ts';

const forever = new AbortController().signal;
const etag: ETag = '"version-1"';
const body = patternBytes(300_000);
const whole = { start: 0, end: body.byteLength };

/** Leases numbered from 1, with tokens unless told. */
class NumberedCredentials implements CredentialSource {
  renewals = 0;
  token = 'token';

  async credentials(): Promise<Credentials> {
    return await Promise.resolve(this.#leases[this.renewals] ?? this.#make());
  }

  async renew(): Promise<Credentials> {
    this.renewals += 1;
    return await this.credentials();
  }

  readonly #leases: Credentials[] = [];

  #make(): Credentials {
    const lease = {
      accessKeyId: `LEASE${this.renewals + 1}`,
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret(this.token === '' ? '' : `${this.token}${this.renewals + 1}`),
      expiresAtMs: Number.MAX_SAFE_INTEGER,
    };
    this.#leases[this.renewals] = lease;
    return lease;
  }
}

let server: ScriptedS3;
let clock: InstantClock;
let credentials: NumberedCredentials;
const opened: S3Stores[] = [];

beforeEach(async () => {
  server = await ScriptedS3.start();
  clock = new InstantClock();
  credentials = new NumberedCredentials();
});

afterEach(async () => {
  for (const stores of opened.splice(0)) await stores[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function open(more: Partial<S3Options> = {}): S3Stores {
  const stores = createS3Stores({
    network: plainNetwork,
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials,
    clock,
    log: silentLog,
    random: () => 0.5,
    ...more,
  });
  opened.push(stores);
  return stores;
}

function rangeAnswer(
  request: SeenRequest,
  bytes: Uint8Array = body,
  headers: Readonly<Record<string, string>> = {},
): ScriptedAnswer & { body: Uint8Array } {
  return rangeAnswerOf(request, bytes, { etag, ...headers });
}

const rangesAsked = (): unknown[] => server.requests.map(({ headers }) => headers.range);

describe('a range on which nothing comes', () => {
  it.each([
    ['before the head', { silent: true }, 0],
    ['within the body', { cutAfter: 100_000, stall: true }, 100_000],
  ])('%s is asked for again from where it stands, and read once', async (_, stalls, at) => {
    server.play((request, nth) =>
      nth === 1 ? { ...rangeAnswer(request), ...stalls } : rangeAnswer(request),
    );
    const store = open({ quietMs: 40 }).open('bucket');
    expect((await readBytes(store, 'key', whole, etag)).equals(body)).toBe(true);
    expect(rangesAsked()).toEqual(['bytes=0-299999', `bytes=${at}-299999`]);
    expect(clock.slept).toEqual([]);
    // The slow one was ended.
    await expect.poll(() => server.connections).toBe(1);
  });

  it('is not asked for a third time while both are silent', async () => {
    const store = open({ quietMs: 40, silenceMs: 200 }).open('bucket');
    server.play((request) => rangeAnswer(request));
    // Enough for several extra requests.
    for (let times = 0; times < 70; times += 1) {
      await readBytes(store, 'key', { start: 0, end: 10 }, etag);
    }
    server.play((request, nth) => (nth <= 2 ? { silent: true } : rangeAnswer(request)));
    expect((await readBytes(store, 'key', whole, etag)).equals(body)).toBe(true);
    expect(server.requests).toHaveLength(3);
  });

  it('is carried on by the first that delivers, be it the slow one', async () => {
    server.play((request, nth) =>
      nth === 1 ? { ...rangeAnswer(request), delayMs: 120 } : { silent: true },
    );
    const store = open({ quietMs: 40 }).open('bucket');
    expect((await readBytes(store, 'key', whole, etag)).equals(body)).toBe(true);
    expect(server.requests).toHaveLength(2);
    await expect.poll(() => server.connections).toBe(1);
  });

  it('is still read when the second request is refused', async () => {
    server.play((request, nth) =>
      nth === 1 ? { ...rangeAnswer(request), delayMs: 120 } : errorAnswer(503, 'SlowDown'),
    );
    const store = open({ quietMs: 40 }).open('bucket');
    expect((await readBytes(store, 'key', whole, etag)).equals(body)).toBe(true);
  });

  it('costs no more than one request in twenty', async () => {
    // Far longer than a busy machine may delay the look at what is quiet.
    server.play((request) => ({ ...rangeAnswer(request), delayMs: 300 }));
    const store = open({ quietMs: 10 }).open('bucket');
    const extent = { start: 0, end: 10 };
    const reads = Array.from({ length: 60 }, async (_, nth) => {
      const sink = new BufferSink(new Uint8Array(10));
      await store.read(`key${nth}`, extent, etag, sink, forever);
    });
    await Promise.all(reads);
    expect(server.requests.length).toBeGreaterThan(60);
    expect(server.requests.length).toBeLessThanOrEqual(63);
  });

  it('is ended at once, with its double, when the read is aborted', async () => {
    server.play(() => ({ silent: true }));
    const store = open({ quietMs: 20 }).open('bucket');
    const controller = new AbortController();
    const sink = new BufferSink(new Uint8Array(10));
    const reading = store
      .read('key', { start: 0, end: 10 }, etag, sink, controller.signal)
      .catch((error: unknown) => error);
    await expect.poll(() => server.requests.length).toBe(2);
    const reason = new Error('EINTR');
    controller.abort(reason);
    expect(await reading).toBe(reason);
    await expect.poll(() => server.connections).toBe(0);
  });
});

describe('the checksum of a whole object', () => {
  const small = body.subarray(0, 5000);
  const damaged = Buffer.from(small);
  damaged[1234] = (damaged[1234] ?? 0) ^ 1;
  const crc = (sum: number): string => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(sum);
    return bytes.toString('base64');
  };
  const md5 = createHash('md5').update(small);
  const sums: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['CRC32', { 'x-amz-checksum-crc32': crc(crc32(small)) }],
    ['CRC32C', { 'x-amz-checksum-crc32c': crc(crc32c(small)) }],
    ['Content-MD5', { 'content-md5': md5.copy().digest('base64') }],
    ['MD5 in the ETag', { etag: `"${md5.digest('hex')}"` }],
  ];

  it('is asked for where a range may be the whole', async () => {
    server.play((request) => rangeAnswer(request));
    const store = open().open('bucket');
    await readBytes(store, 'key', whole, etag);
    await readBytes(store, 'key', { start: 1, end: 10 }, etag);
    const modes = server.requests.map(({ headers }) => headers['x-amz-checksum-mode']);
    expect(modes).toEqual(['ENABLED', undefined]);
  });

  it.each(sums)(
    '(%s) that fails is a retry, and no wrong byte is given out',
    async (_, headers) => {
      server.play((request, nth) => ({
        ...rangeAnswer(request, small, headers),
        body: nth === 1 ? damaged : small,
      }));
      const version = headers['etag'] ?? etag;
      const read = await readBytes(open().open('bucket'), 'key', { start: 0, end: 9000 }, version);
      expect(read.equals(small)).toBe(true);
      expect(server.requests).toHaveLength(2);
    },
  );

  it.each(sums.slice(0, 3))('(%s) that keeps failing ends the read', async (_, headers) => {
    server.play((request) => ({ ...rangeAnswer(request, small, headers), body: damaged }));
    const sink = new BufferSink(new Uint8Array(9000));
    const store = open().open('bucket');
    const refusal = await refusalOf(
      store.read('key', { start: 0, end: 9000 }, etag, sink, forever),
    );
    expect(refusal).toMatchObject({ kind: 'unavailable' });
    expect(sink.bytes.byteLength).toBe(0);
  });

  it('that only looks like an MD5 is believed no more after it was wrong twice alike', async () => {
    const version = `"${'0'.repeat(32)}"`;
    server.play((request) => rangeAnswer(request, small, { etag: version }));
    const store = open().open('bucket');
    for (let times = 0; times < 2; times += 1) {
      const read = await readBytes(store, 'key', { start: 0, end: 9000 }, version);
      expect(read.equals(small)).toBe(true);
    }
    expect(server.requests).toHaveLength(3);
  });

  it('of an object that the server encrypts is not looked for in its ETag', async () => {
    const version = `"${'0'.repeat(32)}"`;
    const headers = { etag: version, 'x-amz-server-side-encryption': 'aws:kms' };
    server.play((request) => rangeAnswer(request, small, headers));
    await readBytes(open().open('bucket'), 'key', { start: 0, end: 9000 }, version);
    expect(server.requests).toHaveLength(1);
  });

  it('of parts, told as a sum of sums, is none', async () => {
    const headers = { 'x-amz-checksum-crc32': 'AAAAAA==-3' };
    server.play((request) => rangeAnswer(request, small, headers));
    await readBytes(open().open('bucket'), 'key', { start: 0, end: 9000 }, etag);
    expect(server.requests).toHaveLength(1);
  });

  it('that fails after bytes of a large object went on ends the read, since asking again is too late', async () => {
    const headers = { 'x-amz-checksum-crc32': crc((crc32(body) ^ 1) >>> 0) };
    server.play((request) => rangeAnswer(request, body, headers));
    const sink = new BufferSink(new Uint8Array(300_000));
    // One read of the socket must not bring all of it: nothing would have gone on then.
    const narrow = {
      room: () => sink.room().subarray(0, 200_000),
      filled: (bytes: number) => sink.filled(bytes),
    };
    const read = open().open('bucket').read('key', whole, etag, narrow, forever);
    expect(await refusalOf(read)).toMatchObject({ kind: 'unavailable' });
    expect(server.requests).toHaveLength(1);
    expect(sink.bytes.byteLength).toBeLessThan(300_000);
  });
});

describe('credentials', () => {
  it('that radosgw cannot read since it was restarted (400 InvalidArgument) are renewed once', async () => {
    server.play((request) =>
      request.headers['x-amz-security-token'] === 'token1'
        ? errorAnswer(400, 'InvalidArgument')
        : rangeAnswer(request),
    );
    const store = open().open('bucket');
    expect((await readBytes(store, 'key', whole, etag)).equals(body)).toBe(true);
    expect(credentials.renewals).toBe(1);
  });

  it('are not renewed for every 400 InvalidArgument: fresh ones are above suspicion', async () => {
    server.play(() => errorAnswer(400, 'InvalidArgument'));
    const store = open().open('bucket');
    for (let times = 0; times < 3; times += 1) {
      const refusal = await refusalOf(readBytes(store, 'key', whole, etag));
      expect(refusal).toMatchObject({ kind: 'unsupported' });
    }
    expect(credentials.renewals).toBe(1);
    expect(server.requests).toHaveLength(4);
  });

  it('without a session token are not renewed for it', async () => {
    credentials.token = '';
    server.play(() => errorAnswer(400, 'InvalidArgument'));
    await refusalOf(readBytes(open().open('bucket'), 'key', whole, etag));
    expect(credentials.renewals).toBe(0);
  });

  it('that end in the middle of a read are renewed, each time that it has got on', async () => {
    server.play((request, nth) => {
      if (nth % 2 === 0) return errorAnswer(400, 'ExpiredToken');
      return { ...rangeAnswer(request), ...(nth < 5 ? { cutAfter: 50_000 } : {}) };
    });
    const store = open().open('bucket');
    expect((await readBytes(store, 'key', whole, etag)).equals(body)).toBe(true);
    expect(credentials.renewals).toBe(2);
  });
});

describe('an archived object', () => {
  it('is told as archived, once, with what to do, and is EIO', async () => {
    server.play(() => errorAnswer(403, 'InvalidObjectState'));
    const refusal = await refusalOf(readBytes(open().open('bucket'), 'key', whole, etag));
    expect(refusal).toMatchObject({ kind: 'archived', detail: { status: 403 } });
    expect(refusal.toLine()).toBe(
      'cannot read bucket/key: the object is archived (403); ' +
        'have it restored first, with the tools of its store',
    );
    expect(toErrno(refusal)).toBe('EIO');
    expect(server.requests).toHaveLength(1);
  });
});

describe('the region of a bucket', () => {
  const signedFor = ({ headers }: SeenRequest): string =>
    /Credential=[^/]+\/\d+\/([^/]+)\//.exec(headers.authorization ?? '')?.[1] ?? '';

  it.each<[string, ScriptedAnswer]>([
    ['a redirect', { status: 301, headers: { 'x-amz-bucket-region': 'eu-south-1' } }],
    [
      'a refusal of the signature',
      {
        status: 400,
        body: '<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-south-1</Region></Error>',
      },
    ],
  ])('is learnt once from %s, by reads and all other requests alike', async (_, refusal) => {
    server.play((request) => {
      if (signedFor(request) !== 'eu-south-1') return refusal;
      if (request.method === 'HEAD') return { headers: { etag, 'content-length': 5 } };
      return rangeAnswer(request);
    });
    const store = open().open('bucket');
    const reads = await Promise.all(
      Array.from({ length: 3 }, async () => await readBytes(store, 'key', whole, etag)),
    );
    expect(reads.every((read) => read.equals(body))).toBe(true);
    const before = server.requests.length;
    await readBytes(store, 'key', whole, etag);
    await store.head('key', forever);
    expect(server.requests.slice(before).map(signedFor)).toEqual(['eu-south-1', 'eu-south-1']);
    expect(clock.slept).toEqual([]);
  });

  it('is not followed twice: two servers that send to each other are told', async () => {
    let times = 0;
    server.play(() => {
      times += 1;
      return { status: 301, headers: { 'x-amz-bucket-region': `region-${times}` } };
    });
    const refusal = await refusalOf(readBytes(open().open('bucket'), 'key', whole, etag));
    expect(refusal).toMatchObject({ kind: 'unsupported', detail: { status: 301 } });
    expect(server.requests).toHaveLength(2);
  });
});

describe('the style of addresses', () => {
  const named = (): string => server.endpoint.replace('127.0.0.1', 'localhost');
  const asked = (): unknown[] => server.requests.map(({ headers, url }) => [headers.host, url]);

  it('is by path, or with the bucket before the host, as told', async () => {
    server.play((request) => rangeAnswer(request));
    for (const addressing of ['path', 'virtual'] as const) {
      const store = open({ endpoint: named(), addressing }).open('bucket');
      expect((await readBytes(store, 'a/b c', whole, etag)).equals(body)).toBe(true);
    }
    const host = new URL(named()).host;
    expect(asked()).toEqual([
      [host, '/bucket/a/b%20c'],
      [`bucket.${host}`, '/a/b%20c'],
    ]);
  });

  it.each(['PermanentRedirect', 'InvalidRequest'])(
    'is tried once the other way when the server says %s, and kept',
    async (code) => {
      const host = new URL(named()).host;
      server.play((request) => {
        if (request.headers.host === host) return errorAnswer(400, code);
        if (request.method === 'HEAD') return { headers: { etag, 'content-length': 5 } };
        return rangeAnswer(request);
      });
      // It connects to the endpoint, whatever the name of the bucket before it.
      const surroundings = { environment: {}, clock: systemClock, log: silentLog };
      await using network = await openNetwork({}, surroundings, forever);
      const options = { endpoint: named(), addressing: 'auto', network } as const;
      const store = open(options).open('bucket');
      await readBytes(store, 'key', whole, etag);
      await store.head('key', forever);
      expect(server.requests.map(({ headers }) => headers.host)).toEqual([
        host,
        `bucket.${host}`,
        `bucket.${host}`,
      ]);
    },
  );

  it('stays by path where it is told so, or where the endpoint is an address', async () => {
    server.play(() => errorAnswer(400, 'InvalidRequest'));
    for (const options of [{ endpoint: named() }, { addressing: 'auto' as const }]) {
      await refusalOf(readBytes(open(options).open('bucket'), 'key', whole, etag));
    }
    expect(server.requests).toHaveLength(2);
  });
});

describe('requester pays', () => {
  it('is on every request, signed, when told, and on none otherwise', async () => {
    server.play((request) => {
      if (request.method === 'HEAD') return { headers: { etag, 'content-length': 5 } };
      return rangeAnswer(request);
    });
    for (const requesterPays of [true, false]) {
      const store = open({ requesterPays }).open('bucket');
      await readBytes(store, 'key', whole, etag);
      await store.head('key', forever);
    }
    const payers = server.requests.map(({ headers }) => headers['x-amz-request-payer']);
    expect(payers).toEqual(['requester', 'requester', undefined, undefined]);
    for (const { headers } of server.requests.slice(0, 2)) {
      expect(headers.authorization).toMatch(/SignedHeaders=[^,]*x-amz-request-payer/);
    }
  });
});

describe('a clock that is wrong', () => {
  it('is corrected by the server’s, and the request is done', async () => {
    const serverMs = Date.UTC(2031, 4, 5, 6, 7, 8);
    server.play((request) => {
      const stamp = String(request.headers['x-amz-date']);
      if (!stamp.startsWith('20310505T06')) {
        const date = new Date(serverMs).toUTCString();
        return { ...errorAnswer(403, 'RequestTimeTooSkewed'), headers: { date } };
      }
      return rangeAnswer(request);
    });
    const store = open().open('bucket');
    expect((await readBytes(store, 'key', whole, etag)).equals(body)).toBe(true);
    expect(server.requests).toHaveLength(2);
  });
});

describe('a failed try', () => {
  it('is in the log with its code, and what was tried', async () => {
    const lines: string[] = [];
    const log = createLog(
      (line) => void lines.push(line),
      'debug',
      () => 0,
    );
    server.play((request, nth) =>
      nth === 1 ? errorAnswer(503, 'SlowDown') : rangeAnswer(request),
    );
    await readBytes(open({ log }).open('bucket'), 'key', whole, etag);
    const entries = lines.map((line) => JSON.parse(line) as unknown);
    expect(entries).toMatchObject([
      {
        event: 'store request failed',
        ...{ tried: 'read bucket/key', code: 'SlowDown', status: 503, retry: true },
      },
    ]);
  });

  it('that is no HTTP ends as unavailable', async () => {
    server.play(() => ({ headers: { 'transfer-encoding': 'gzip, chunked', etag } }));
    const refusal = await refusalOf(readBytes(open().open('bucket'), 'key', whole, etag));
    expect(refusal).toMatchObject({ kind: 'unavailable' });
  });
});
