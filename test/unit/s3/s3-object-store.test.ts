import dns from 'node:dns';
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { etagOfParts } from '../../../src/s3/s3-encoding.ts';
import { createS3Stores, type S3Stores } from '../../../src/s3/s3-object-stores.ts';
import type { ETag, ObjectStore } from '../../../src/store/object-store.ts';
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
const etag: ETag = '"5d41402abc4b2a76b9719d911017c592"'; // MD5 of `hello`

/** Leases numbered from 1; `renew` gives the next. */
class FakeCredentials implements CredentialSource {
  readonly refused: string[] = [];
  expiresAtMs = Number.MAX_SAFE_INTEGER;
  fails: Error | undefined;
  #failures = 0;
  #lease = this.#make(1);

  failsTimes(times: number, error: Error): void {
    this.#failures = times;
    this.fails = error;
  }

  async credentials(): Promise<Credentials> {
    if (this.fails !== undefined) {
      this.#failures -= 1;
      const { fails } = this;
      if (this.#failures === 0) this.fails = undefined;
      throw fails;
    }
    return await Promise.resolve(this.#lease);
  }

  async renew(refused: Credentials): Promise<Credentials> {
    this.refused.push(refused.accessKeyId);
    this.#lease = this.#make(this.refused.length + 1);
    return await this.credentials();
  }

  #make(nth: number): Credentials {
    return {
      accessKeyId: `LEASE${nth}`,
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret(`token${nth}`),
      expiresAtMs: this.expiresAtMs,
    };
  }
}

let server: ScriptedS3;
let clock: InstantClock;
let credentials: FakeCredentials;
let stores: S3Stores;
let store: ObjectStore;

beforeEach(async () => {
  server = await ScriptedS3.start();
  clock = new InstantClock();
  credentials = new FakeCredentials();
  stores = createS3Stores({
    network: plainNetwork,
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials,
    clock,
    log: silentLog,
    userAgent: 'wire/test',
    random: () => 0.5,
  });
  store = stores.open('bucket');
});

afterEach(async () => {
  await stores[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** A right answer to a ranged GET of `body`. */
function rangeAnswer(
  request: SeenRequest,
  body: Uint8Array,
): ScriptedAnswer & { body: Uint8Array } {
  const headers = { etag, 'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT' };
  return rangeAnswerOf(request, body, headers);
}

const body = patternBytes(400_000);

async function readAll(extent = { start: 0, end: body.byteLength }): Promise<Buffer> {
  return await readBytes(store, 'key', extent, etag);
}

describe('a read', () => {
  it('asks for the version and the range, and tells the version', async () => {
    server.play((request) => rangeAnswer(request, body));
    const sink = new BufferSink(new Uint8Array(10));
    const read = await store.read('key', { start: 10, end: 20 }, etag, sink, forever);
    expect(Buffer.from(sink.bytes)).toEqual(body.subarray(10, 20));
    expect(read).toEqual({
      etag,
      bytes: 400_000,
      modifiedMs: Date.parse('2015-10-21T07:28:00Z'),
    });
    expect(server.requests[0]?.headers).toMatchObject({ range: 'bytes=10-19', 'if-match': etag });
  });

  it('goes on where a body broke off, until all bytes are there', async () => {
    server.play((request, nth) => {
      const whole = rangeAnswer(request, body);
      return nth < 4 ? { ...whole, cutAfter: 100_000 } : whole;
    });
    expect((await readAll()).equals(body)).toBe(true);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([
      'bytes=0-399999',
      'bytes=100000-399999',
      'bytes=200000-399999',
      'bytes=300000-399999',
    ]);
  });

  it('fails rather than mix versions when the object changes between two tries', async () => {
    server.play((request, nth) =>
      nth === 1
        ? { ...rangeAnswer(request, body), cutAfter: 100_000 }
        : errorAnswer(412, 'PreconditionFailed'),
    );
    expect(await refusalOf(readAll())).toMatchObject({ kind: 'precondition-failed' });
  });

  it('takes another ETag in the answer for another version, even if the server says 206', async () => {
    server.play((request) => {
      const answer = rangeAnswer(request, body);
      return { ...answer, headers: { ...answer.headers, etag: '"other"' } };
    });
    expect(await refusalOf(readAll())).toMatchObject({ kind: 'precondition-failed' });
  });

  it.each<[string, (answer: ScriptedAnswer & { body: Uint8Array }) => ScriptedAnswer]>([
    [
      'another range',
      (answer) => ({
        ...answer,
        headers: { ...answer.headers, 'content-range': 'bytes 5-9/400000' },
      }),
    ],
    [
      'a range that reads as none',
      (answer) => ({ ...answer, headers: { ...answer.headers, 'content-range': 'lies' } }),
    ],
    ['too short a body', (answer) => ({ ...answer, body: answer.body.subarray(1) })],
    ['no ETag', (answer) => ({ ...answer, headers: { ...answer.headers, etag: '' } })],
    [
      'a range that starts too early',
      (answer) => ({
        ...answer,
        headers: { ...answer.headers, 'content-range': 'bytes 999-2999/400000' },
        body: body.subarray(999, 3000),
      }),
    ],
    [
      'more bytes than it promised',
      (answer) => ({
        ...answer,
        headers: { ...answer.headers, 'transfer-encoding': 'chunked' },
        body: Buffer.concat([answer.body, Buffer.from('more')]),
      }),
    ],
    [
      'fewer bytes than it promised, as if all were there',
      (answer) => ({
        ...answer,
        headers: { ...answer.headers, 'transfer-encoding': 'chunked' },
        body: answer.body.subarray(0, 500),
      }),
    ],
    ['a cut before the head', () => ({ reset: true })],
    ['503', () => errorAnswer(503, 'SlowDown')],
  ])('asks again when it gets %s, and gives no wrong byte', async (_, spoil) => {
    server.play((request, nth) => {
      const right = rangeAnswer(request, body);
      if (nth > 1) return right;
      const { headers, ...spoilt } = spoil(right);
      const sent = Object.entries(headers ?? {}).filter(([, value]) => value !== '');
      return { ...spoilt, headers: Object.fromEntries(sent) };
    });
    const extent = { start: 1000, end: 3000 };
    expect((await readAll(extent)).equals(body.subarray(1000, 3000))).toBe(true);
    expect(server.requests.length).toBe(2);
  });

  it('takes a whole object for the range only when it is the range', async () => {
    server.play(() => ({ status: 200, headers: { etag }, body: 'hello' }));
    expect((await readAll({ start: 0, end: 100 })).toString()).toBe('hello');
    expect(await refusalOf(readAll({ start: 1, end: 3 }))).toMatchObject({ kind: 'unavailable' });
  });

  it('gives up when its retry budget is spent', async () => {
    server.play(() => errorAnswer(503, 'SlowDown'));
    const startedMs = clock.monotonic();
    expect(await refusalOf(readAll())).toMatchObject({
      kind: 'unavailable',
      detail: { status: 503 },
    });
    expect(clock.monotonic() - startedMs).toBeGreaterThan(20_000);
    expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(30_000);
  });

  it('ends at once when aborted, while it waits for the head or for the body', async () => {
    for (const cutAfter of [0, 1000]) {
      server.play((request) => ({ ...rangeAnswer(request, body), cutAfter, stall: true }));
      const controller = new AbortController();
      const reason = new Error('EINTR');
      const sink = new BufferSink(new Uint8Array(5000));
      const reading = store
        .read('key', { start: 0, end: 5000 }, etag, sink, controller.signal)
        .catch((error: unknown) => error);
      await expect.poll(() => server.requests.length).toBe(1);
      controller.abort(reason);
      expect(await reading).toBe(reason);
    }
  });

  it('of nothing tells the version with one HEAD', async () => {
    server.play(() => ({ headers: { etag, 'content-length': 5 } }));
    const read = await readBytes(store, 'key', { start: 3, end: 3 }, etag);
    expect(read.byteLength).toBe(0);
    expect(server.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });
});

describe('credentials', () => {
  it.each([
    ['AWS', 400, 'ExpiredToken'],
    ['MinIO', 403, 'InvalidAccessKeyId'],
  ])(
    'that %s calls expired are renewed once, and the request is replayed once',
    async (_, status, code) => {
      server.play((__, nth) =>
        nth === 1 ? errorAnswer(status, code) : { headers: { etag }, body: '' },
      );
      await store.put('key', Buffer.from('hello'), {}, forever);
      expect(credentials.refused).toEqual(['LEASE1']);
      expect(server.requests).toHaveLength(2);
      expect(server.requests[0]?.headers['x-amz-security-token']).toBe('token1');
      expect(server.requests[1]?.headers['x-amz-security-token']).toBe('token2');
    },
  );

  it('are known as expired on HEAD by the header MinIO sends', async () => {
    server.play((_, nth) =>
      nth === 1
        ? { status: 403, headers: { 'x-minio-error-code': 'InvalidAccessKeyId' } }
        : { headers: { etag, 'content-length': 5 } },
    );
    expect((await store.head('key', forever)).bytes).toBe(5);
    expect(credentials.refused).toEqual(['LEASE1']);
  });

  it('that are still refused after one renewal end the request', async () => {
    server.play(() => errorAnswer(400, 'ExpiredToken'));
    expect(await refusalOf(store.head('key', forever))).toMatchObject({ kind: 'unsupported' });
    expect(await refusalOf(store.list({ prefix: '' }, forever))).toMatchObject({
      kind: 'credentials-expired',
    });
    expect(credentials.refused).toEqual(['LEASE1']);
    expect(server.requests).toHaveLength(3);
  });

  it('that have ended by our clock are renewed on a bare 403 (RGW)', async () => {
    credentials.expiresAtMs = clock.now();
    await credentials.renew(await credentials.credentials());
    server.play((_, nth) =>
      nth === 1 ? { status: 403 } : { headers: { etag, 'content-length': 5 } },
    );
    expect((await store.head('key', forever)).bytes).toBe(5);
    expect(credentials.refused).toEqual(['LEASE1', 'LEASE2']);
  });

  it('are not renewed, nor anything asked again, when policy says no', async () => {
    server.play(() => errorAnswer(403, 'AccessDenied'));
    expect(await refusalOf(store.list({ prefix: '' }, forever))).toMatchObject({
      kind: 'access-denied',
    });
    expect(server.requests).toHaveLength(1);
    expect(credentials.refused).toEqual([]);
  });

  it('that cannot be had end the request with what their source said', async () => {
    credentials.fails = new WireError('login-expired', {
      tried: 'refresh the login',
      answered: 'invalid_grant',
      next: 'run `wire login`',
    });
    const refusal = await refusalOf(store.head('key', forever));
    expect(refusal).toMatchObject({ name: 'StoreError', kind: 'login-expired' });
    expect(refusal.toLine()).toContain('invalid_grant; run `wire login`');
    expect(server.requests).toHaveLength(0);
  });

  it('that a provider refuses are not taken for a refusal of the store', async () => {
    for (const kind of ['identity-refused', 'access-denied', 'config'] as const) {
      credentials.fails = new WireError(kind, { tried: 'trade the token', answered: 'not so' });
      const refusal = await refusalOf(store.head('key', forever));
      expect(refusal).toMatchObject({ name: 'StoreError', kind: 'credentials-expired' });
      expect(refusal.message).toContain('not so');
    }
    expect(server.requests).toHaveLength(0);
  });
});

describe('credentials whose source is not there for the moment', () => {
  const down = new WireError('unreachable', {
    tried: 'ask the provider',
    answered: 'ECONNREFUSED',
  });

  it('are waited for within the retry budget, and the write is done', async () => {
    server.play(() => ({ headers: { etag } }));
    credentials.failsTimes(3, down);
    expect(await store.put('key', Buffer.from('hello'), {}, forever)).toMatchObject({ etag });
    expect(clock.slept).toHaveLength(3);
    expect(server.requests).toHaveLength(1);
  });

  it('are waited for also when the store refused the lease before', async () => {
    server.play((_, nth) => {
      if (nth > 1) return { headers: { etag } };
      credentials.failsTimes(3, down);
      return errorAnswer(400, 'ExpiredToken');
    });
    expect(await store.put('key', Buffer.from('hello'), {}, forever)).toMatchObject({ etag });
    expect(clock.slept).toHaveLength(3);
    const used = server.requests.map(({ headers }) => headers['x-amz-security-token']);
    expect(used).toEqual(['token1', 'token5']);
  });

  it('end the request with what their source said once the budget is spent', async () => {
    credentials.fails = down;
    const startedMs = clock.monotonic();
    const refusal = await refusalOf(store.head('key', forever));
    expect(refusal).toMatchObject({ kind: 'unreachable', detail: { code: 'ECONNREFUSED' } });
    expect(clock.monotonic() - startedMs).toBeGreaterThan(20_000);
  });
});

describe('a write', () => {
  it('carries sums of its body, and tells the version with the server\u2019s time', async () => {
    server.play(() => ({ headers: { etag, date: 'Wed, 21 Oct 2015 07:28:00 GMT' } }));
    const version = await store.put('key', Buffer.from('hello'), {}, forever);
    expect(version).toEqual({ etag, bytes: 5, modifiedMs: Date.parse('2015-10-21T07:28:00Z') });
    expect(server.requests[0]?.headers).toMatchObject({
      'x-amz-content-sha256': '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      'x-amz-checksum-crc32': 'NhCmhg==',
      'content-type': 'application/octet-stream',
    });
    expect(server.requests[0]?.headers['user-agent']).toContain('wire/test');
    expect(server.requests[0]?.body.toString()).toBe('hello');
  });

  it('that was done although its answer was lost is no conflict with itself', async () => {
    server.play((request, nth) => {
      if (nth === 1) return { reset: true };
      if (request.method === 'PUT') return errorAnswer(412, 'PreconditionFailed');
      return { headers: { etag, 'content-length': 5 } };
    });
    const options = { precondition: { must: 'be-absent' } } as const;
    expect(await store.put('key', Buffer.from('hello'), options, forever)).toMatchObject({ etag });
  });

  it('that met somebody else\u2019s object after a lost answer still says so', async () => {
    server.play((request, nth) => {
      if (nth === 1) return { reset: true };
      if (request.method === 'PUT') return errorAnswer(412, 'PreconditionFailed');
      return { headers: { etag: '"theirs"', 'content-length': 5 } };
    });
    const options = { precondition: { must: 'be-absent' } } as const;
    const refusal = await refusalOf(store.put('key', Buffer.from('hello'), options, forever));
    expect(refusal).toMatchObject({ kind: 'exists' });
  });

  it('damaged on its way is sent again', async () => {
    server.play((_, nth) => (nth === 1 ? errorAnswer(400, 'BadDigest') : { headers: { etag } }));
    expect(await store.put('key', Buffer.from('hello'), {}, forever)).toMatchObject({ etag });
  });

  it('by parts whose completion leaves the ETag empty looks it up (RGW)', async () => {
    server.play((request) => {
      if (request.url.includes('uploads')) {
        return { body: '<R><UploadId>u</UploadId></R>' };
      }
      if (request.method === 'HEAD') return { headers: { etag: '"whole-1"', 'content-length': 5 } };
      if (request.method === 'PUT') return { headers: { etag } };
      return {
        body: '<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>',
      };
    });
    const upload = await store.startUpload('key', {}, forever);
    const part = await store.uploadPart(upload, 1, Buffer.from('hello'), forever);
    const version = await store.completeUpload(upload, [part], undefined, forever);
    expect(version).toMatchObject({ etag: '"whole-1"', bytes: 5 });
  });

  it('by parts tells of each begin whose answer was lost', async () => {
    let lost = 0;
    server.play((_, nth) =>
      nth <= 2 ? { reset: true } : { body: '<R><UploadId>third</UploadId></R>' },
    );
    const onLost = (): void => void (lost += 1);
    expect(await store.startUpload('key', { onLost }, forever)).toMatchObject({
      uploadId: 'third',
    });
    expect(lost).toBe(2);
  });

  it('by parts whose completion was done although its answer was lost is done', async () => {
    const whole = etagOfParts([etag]);
    for (const [present, outcome] of [
      [whole, { etag: whole, bytes: 5 }],
      ['"theirs"', { kind: 'not-found' }],
    ] as const) {
      server.play((request, nth) => {
        if (nth === 1) return { reset: true };
        if (request.method === 'POST') return errorAnswer(404, 'NoSuchUpload');
        return { headers: { etag: present, 'content-length': 5 } };
      });
      const upload = { key: 'key', uploadId: 'u' };
      const completing = store.completeUpload(upload, [{ number: 1, etag }], undefined, forever);
      expect(await completing.catch((error: unknown) => error)).toMatchObject(outcome);
    }
  });
});

describe('an upload that completes under a condition', () => {
  const upload = { key: 'key', uploadId: 'u' };
  const parts = [{ number: 1, etag }];

  /** A server that ignores the condition of a completion, as Ceph RGW 16 does. */
  function playRgw(present: ScriptedAnswer): void {
    const whole = '"whole-1"';
    server.play((request, nth) => {
      if (request.method === 'POST') return { body: `<R><ETag>${whole}</ETag></R>` };
      if (request.method === 'GET') return errorAnswer(403, 'AccessDenied');
      return nth === 1 ? present : { headers: { etag: whole, 'content-length': 5 } };
    });
  }

  it.each([
    ['be changed by somebody else', { must: 'be', etag: '"old"' }, 'precondition-failed'],
    ['exist by now', { must: 'be-absent' }, 'exists'],
  ] as const)(
    'is refused before the completion when the object was found to %s',
    async (_, precondition, kind) => {
      playRgw({ headers: { etag: '"theirs"', 'content-length': 5 } });
      const completing = store.completeUpload(upload, parts, precondition, forever);
      expect(await refusalOf(completing)).toMatchObject({ kind });
      expect(server.requests.map(({ method }) => method)).toEqual(['HEAD']);
    },
  );

  it.each([
    ['the version is there', { must: 'be', etag: '"old"' }, { headers: { etag: 'old' } }],
    ['nothing is there', { must: 'be-absent' }, { status: 404 }],
    ['one may not look', { must: 'be-absent' }, { status: 403 }],
  ] as const)('looks once, then completes, when %s', async (_, precondition, present) => {
    playRgw(present);
    await store.completeUpload(upload, parts, precondition, forever);
    // A GET lists, where a HEAD is refused: here that is refused as well.
    const requests = server.requests.filter(({ method }) => method !== 'GET');
    // The last HEAD asks for the length, which no answer told here.
    expect(requests.map(({ method }) => method)).toEqual(['HEAD', 'POST', 'HEAD']);
    const { headers } = requests[1] ?? {};
    expect(headers?.['if-match'] ?? headers?.['if-none-match']).toBe(
      precondition.must === 'be' ? 'old' : '*',
    );
  });

  it('asks nothing before one without a condition', async () => {
    playRgw({ headers: { etag, 'content-length': 5 } });
    await store.completeUpload(upload, parts, undefined, forever);
    expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'HEAD']);
  });
});

describe('a copy', () => {
  it('names its source encoded and pinned to its version', async () => {
    server.play(() => ({ body: `<CopyObjectResult><ETag>${etag}</ETag></CopyObjectResult>` }));
    const from = { key: '/a b+ü', etag, bytes: 5, modifiedMs: 0 };
    expect(await store.copy(from, 'to', {}, forever)).toMatchObject({ etag, bytes: 5 });
    expect(server.requests[0]?.headers).toMatchObject({
      'x-amz-copy-source': 'bucket//a%20b%2B%C3%BC',
      'x-amz-copy-source-if-match': etag,
      'x-amz-metadata-directive': 'COPY',
    });
  });

  it('of more than 5 GiB is made of parts that cover the object, and given up whole', async () => {
    const bytes = 6 * 2 ** 30 + 5;
    const ranges: string[] = [];
    let breaks = false;
    let aborted = 0;
    server.play((request) => {
      if (request.method === 'HEAD') return { headers: { etag, 'x-amz-meta-mode': '7' } };
      if (request.method === 'DELETE') {
        aborted += 1;
        return { status: 204 };
      }
      if (request.url.includes('uploads')) return { body: '<R><UploadId>u</UploadId></R>' };
      if (breaks) return errorAnswer(403, 'AccessDenied');
      if (request.method === 'PUT') {
        ranges.push(String(request.headers['x-amz-copy-source-range']));
        return { body: `<CopyPartResult><ETag>${etag}</ETag></CopyPartResult>` };
      }
      return { body: '<R><ETag>"whole-13"</ETag></R>' };
    });
    const from = { key: 'from', etag, bytes, modifiedMs: 0 };
    expect(await store.copy(from, 'to', {}, forever)).toMatchObject({ etag: '"whole-13"', bytes });
    const start = server.requests.find(({ url }) => url.includes('uploads'));
    expect(start?.headers['x-amz-meta-mode']).toBe('7');
    const ends = ranges
      .map((range) => range.replace('bytes=', '').split('-').map(Number))
      .sort(([a = 0], [b = 0]) => a - b);
    let at = 0;
    for (const [first, last = 0] of ends) {
      expect(first).toBe(at);
      at = last + 1;
    }
    expect(at).toBe(bytes);

    breaks = true;
    expect(await refusalOf(store.copy(from, 'to', {}, forever))).toMatchObject({
      kind: 'access-denied',
    });
    expect(aborted).toBe(1);
  });
});

describe('the connection', () => {
  it('serves many requests on one signal without a warning, and leaves no listener on it', async () => {
    const warnings: Error[] = [];
    const keep = (warning: Error): void => void warnings.push(warning);
    process.on('warning', keep);
    const { signal } = new AbortController();
    server.play(() => ({ headers: { etag, 'content-length': 5 } }));
    await Promise.all(Array.from({ length: 30 }, async () => await store.head('key', signal)));
    await expect.poll(() => getEventListeners(signal, 'abort').length).toBe(0);
    process.off('warning', keep);
    expect(warnings).toEqual([]);
  });

  it('is used again, and closed when the stores are disposed', async () => {
    server.play(() => ({ headers: { etag, 'content-length': 5 } }));
    for (let times = 0; times < 5; times += 1) await store.head('key', forever);
    expect(server.connections).toBe(1);
    await stores[Symbol.asyncDispose]();
    await expect.poll(() => server.connections).toBe(0);
  });

  it.each([
    { met: false, where: 'no store has answered yet', longestMs: 2000 },
    { met: true, where: 'one has', longestMs: 90_000 },
  ])('refused is asked for again for $longestMs ms where $where', async ({ met, longestMs }) => {
    server.play(() => errorAnswer(404, 'NoSuchKey'));
    if (met) await refusalOf(store.head('key', forever));
    await server[Symbol.asyncDispose]();
    const startedMs = clock.monotonic();
    const refusal = await refusalOf(store.head('key', forever));
    expect(refusal).toMatchObject({ kind: 'unreachable', detail: { code: 'ECONNREFUSED' } });
    expect(clock.monotonic() - startedMs).toBeGreaterThan(longestMs / 2);
    expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(longestMs);
    server = await ScriptedS3.start();
  });
});

describe('a connection that goes silent', () => {
  /** How long nothing may move, in ms: real time, since it is the socket's. */
  async function open(silenceMs: number): Promise<void> {
    await stores[Symbol.asyncDispose]();
    const { endpoint } = server;
    stores = createS3Stores({
      network: plainNetwork,
      endpoint,
      region: 'us-east-1',
      credentials,
      clock,
      log: silentLog,
      silenceMs,
      random: () => 0.5,
    });
    store = stores.open('bucket');
  }

  it('is given up, and the request is done on another', async () => {
    await open(50);
    server.play((_, nth) => (nth <= 2 ? { silent: true } : { headers: { etag } }));
    expect(await store.put('key', Buffer.from('hello'), {}, forever)).toMatchObject({ etag });
    expect(server.requests).toHaveLength(3);
  });

  it('is borne thirty times as long while the server copies or joins parts', async () => {
    await open(40);
    server.play((request) => {
      if (request.method === 'HEAD') return { headers: { etag, 'content-length': 5 } };
      return { delayMs: 200, body: `<R><ETag>${etag}</ETag></R>` };
    });
    const from = { key: 'from', etag, bytes: 5, modifiedMs: 0 };
    await store.copy(from, 'to', {}, forever);
    await store.completeUpload(
      { key: 'k', uploadId: 'u' },
      [{ number: 1, etag }],
      undefined,
      forever,
    );
    expect(server.requests.map(({ method }) => method)).toEqual(['PUT', 'POST', 'HEAD']);
  });
});

describe('a server that is busy', () => {
  it('is left alone for as long as it asks', async () => {
    server.play((_, nth) =>
      nth === 1
        ? { ...errorAnswer(503, 'SlowDown'), headers: { 'retry-after': '2' } }
        : { headers: { etag, 'content-length': 5 } },
    );
    await store.head('key', forever);
    expect(clock.slept).toEqual([2000]);
  });
});

describe('a host name that nobody knows', () => {
  it('is told as unreachable after a few tries', async () => {
    const unknown = Object.assign(new Error('told'), { code: 'ENOTFOUND' });
    const lookup = vi.spyOn(dns, 'lookup');
    lookup.mockImplementation(((_: string, __: unknown, done: (error: Error) => void) => {
      done(unknown);
    }) as typeof dns.lookup);
    try {
      await using elsewhere = createS3Stores({
        network: plainNetwork,
        endpoint: 'http://store.example',
        region: 'us-east-1',
        credentials,
        clock,
        log: silentLog,
        random: () => 0.999,
      });
      expect(await refusalOf(elsewhere.open('bucket').head('key', forever))).toMatchObject({
        kind: 'unreachable',
        detail: { code: 'ENOTFOUND' },
      });
      expect(clock.slept).toHaveLength(4);
    } finally {
      lookup.mockRestore();
    }
  });
});

describe('buckets', () => {
  it('are listed with their creation', async () => {
    server.play(() => ({
      body: '<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name><CreationDate>2015-10-21T07:28:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>',
    }));
    expect(await stores.buckets(forever)).toEqual([
      { name: 'b', createdMs: Date.parse('2015-10-21T07:28:00Z') },
    ]);
  });

  it('that may not be listed say what to do instead', async () => {
    server.play(() => errorAnswer(403, 'AccessDenied'));
    const refusal = await refusalOf(stores.buckets(forever));
    expect(refusal.kind).toBe('access-denied');
    expect(refusal.toLine()).toContain('name the bucket to mount');
  });
});

describe('a listing', () => {
  it('asks for encoded keys and decodes them, a space written + included', async () => {
    server.play(() => ({
      body: `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
        <NextContinuationToken>next+%20</NextContinuationToken>
        <Contents><Key>a+b%2Bc%01/%C3%BC</Key><ETag>"e"</ETag><Size>5</Size></Contents>
        <CommonPrefixes><Prefix>d+e/</Prefix></CommonPrefixes></ListBucketResult>`,
    }));
    const page = await store.list({ prefix: 'a b', delimiter: '/' }, forever);
    expect(page).toEqual({
      objects: [{ key: 'a b+c\u0001/ü', etag: '"e"', bytes: 5, modifiedMs: 0 }],
      prefixes: ['d e/'],
      next: 'next+%20',
    });
    expect(server.requests[0]?.url).toContain('encoding-type=url');
  });
});
