import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Faults } from '../../../../src/demo/s3/faults.ts';
import type { ObjectServer } from '../../../../src/demo/s3/object-server.ts';
import {
  clientOf,
  guest,
  never,
  QuickClock,
  refusal,
  root,
  startPlayground,
} from './fixtures/playground.ts';
import { call, codeOf, type RawReply } from './fixtures/raw-client.ts';

const Bucket = 'shared';
const body = Buffer.alloc(1_000_000, 'some bytes to be lost, ');
let server: ObjectServer;
let clock: QuickClock;

beforeEach(async () => {
  clock = new QuickClock();
  server = await startPlayground('aws', { clock });
  server.foreign.putObject(Bucket, 'k', body);
  server.foreign.putObject(Bucket, 'small', 'small');
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

const get = async (path = '/shared/k'): Promise<RawReply> => await call(server.url, { path }, root);

describe('faults', () => {
  it('fail the next requests, then no more', async () => {
    server.faults.failNext(2, { status: 500, code: 'InternalError' });
    const replies = [await get(), await get(), await get()];
    expect(replies.map(({ status }) => status)).toEqual([500, 500, 200]);
    expect(codeOf(replies[0] ?? (await get()))).toBe('InternalError');
  });

  it('wait for the operation they name', async () => {
    server.faults.failNext(1, { operation: 'HeadObject', status: 503, code: 'SlowDown' });
    expect((await get()).status).toBe(200);
    const client = clientOf(server);
    const head = client.send(new HeadObjectCommand({ Bucket, Key: 'k' }));
    expect((await refusal(head)).status).toBe(503);
    await client.send(new HeadObjectCommand({ Bucket, Key: 'k' }));
  });

  it('leave a refused write undone', async () => {
    server.faults.failNext(1, { status: 503, code: 'SlowDown' });
    const put = clientOf(server).send(new PutObjectCommand({ Bucket, Key: 'new', Body: body }));
    expect((await refusal(put)).name).toBe('SlowDown');
    expect(server.foreign.head(Bucket, 'new')).toBeUndefined();
  });

  it('cut a body after so many bytes', async () => {
    for (const after of [0, 1, 100_000, 999_999]) {
      server.faults.truncateNext(1, after);
      const reply = await get();
      expect(reply.headers['content-length']).toBe('1000000');
      expect([reply.aborted, reply.bytes.length]).toEqual([true, after]);
    }
    expect((await get()).bytes.equals(body)).toBe(true);
  });

  it('reset the connection', async () => {
    server.faults.resetNext(1);
    await expect(get()).rejects.toThrow(/ECONNRESET|hang up/);
    expect((await get()).status).toBe(200);
    expect(server.counters.snapshot()['GetObject']).toMatchObject({ requests: 2, errors: 1 });
  });

  it('stall before the answer or in the middle of it', async () => {
    server.faults.stallNext(1, 5000);
    server.faults.stallNext(1, 7000, { afterBytes: 10 });
    expect((await get()).bytes.equals(body)).toBe(true);
    expect(clock.slept).toEqual([5000]);
    expect((await get('/shared/small')).text).toBe('small');
    expect(clock.slept).toEqual([5000]);
    server.faults.stallNext(1, 7000, { afterBytes: 10 });
    expect((await get()).bytes.equals(body)).toBe(true);
    expect(clock.slept).toEqual([5000, 7000]);
  });

  it('turn one byte over, in the answer only', async () => {
    server.faults.corruptNext(1);
    const { bytes } = await get();
    const wrong = [...bytes.keys()].filter((i) => bytes[i] !== body[i]);
    expect(wrong).toEqual([500_000]);
    expect((await get()).bytes.equals(body)).toBe(true);
  });

  it('delay every answer', async () => {
    server.faults.latencyMs = 20;
    await get('/shared/small');
    await get('/shared/small');
    expect(clock.sleptMs).toBe(40);
  });

  it('pass bodies at a rate, both ways', async () => {
    server.faults.bytesPerSecond = 100_000;
    expect((await get()).bytes.equals(body)).toBe(true);
    expect(clock.sleptMs).toBeCloseTo(10_000, 0);
    await call(
      server.url,
      { method: 'PUT', path: '/shared/up', body: body.subarray(0, 200_000) },
      root,
    );
    expect(clock.sleptMs).toBeCloseTo(12_000, 0);
    expect((await server.foreign.getObject(Bucket, 'up'))?.equals(body.subarray(0, 200_000))).toBe(
      true,
    );
  });

  it('share one line between all bodies', async () => {
    const slept: number[] = [];
    const sleep = async (ms: number): Promise<void> => {
      slept.push(ms);
      await Promise.resolve();
    };
    const faults = new Faults({ now: () => 0, monotonic: () => 0, sleep });
    faults.bytesPerSecond = 1000;
    for (let bodies = 0; bodies < 3; bodies += 1) {
      const source = Readable.from([Buffer.alloc(1000)]) as AsyncIterable<Buffer>;
      for await (const piece of faults.pace(source, never)) expect(piece).toHaveLength(1000);
    }
    expect(slept).toEqual([1000, 2000, 3000]);
  });

  it('answer SlowDown above a rate of requests', async () => {
    server.faults.requestsPerSecond = 3;
    const statuses = [];
    for (let i = 0; i < 5; i += 1) statuses.push((await get('/shared/small')).status);
    expect(statuses).toEqual([200, 200, 200, 503, 503]);
    await clock.sleep(400, new AbortController().signal);
    expect((await get('/shared/small')).status).toBe(200);
    expect((await get('/shared/small')).status).toBe(503);
    server.faults.clear();
    expect((await get('/shared/small')).status).toBe(200);
  });

  it('end all temporary credentials at once, and no others', async () => {
    const path = '/shared/small';
    expect((await call(server.url, { path }, guest)).status).toBe(200);
    server.expireNow();
    expect(codeOf(await call(server.url, { path }, guest))).toBe('ExpiredToken');
    expect((await call(server.url, { path }, root)).status).toBe(200);
  });
});

describe('counters', () => {
  it('count requests, errors and bytes by operation until they are reset', async () => {
    const client = clientOf(server);
    await client.send(new PutObjectCommand({ Bucket, Key: 'c', Body: Buffer.alloc(1000) }));
    await (
      await client.send(new GetObjectCommand({ Bucket, Key: 'c' }))
    ).Body?.transformToByteArray();
    await get('/shared/none');
    const { PutObject, GetObject } = server.counters.snapshot();
    expect(PutObject).toEqual({ requests: 1, errors: 0, bytesIn: 1000, bytesOut: 0 });
    expect(GetObject).toMatchObject({ requests: 2, errors: 1 });
    expect(GetObject?.bytesOut).toBeGreaterThan(1000);
    expect(server.counters.requests('HeadObject')).toBe(0);
    server.counters.reset();
    expect(server.counters.snapshot()).toEqual({});
  });
});

describe('a stopped server', () => {
  it('breaks the answers that are under way, and is not waited for', async () => {
    const slow = await startPlayground('aws');
    slow.foreign.putObject(Bucket, 'k', body);
    slow.faults.stallNext(1, 600_000);
    const waiting = call(slow.url, { path: '/shared/k' }, root);
    const failed = expect(waiting).rejects.toThrow();
    await expect.poll(() => slow.counters.requests('GetObject')).toBe(1);
    await slow[Symbol.asyncDispose]();
    await failed;
  });
});
