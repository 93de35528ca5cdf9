import { afterEach, describe, expect, it } from 'vitest';
import { type ObjectServer, startObjectServer } from '../../../../src/demo/s3/object-server.ts';
import type { Principal } from '../../../../src/demo/s3/principal.ts';
import { guest, never, startPlayground } from './fixtures/playground.ts';
import { call, codeOf } from './fixtures/raw-client.ts';

let server: ObjectServer | undefined;

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
});

const form = (fields: Record<string, string>): RequestInit => ({
  method: 'POST',
  body: new URLSearchParams(fields),
});

describe('the security token service', () => {
  it('gets the form of body and query, and its answer is passed on and counted', async () => {
    const seen: string[] = [];
    const sts = {
      answer: async (fields: URLSearchParams) => {
        seen.push(fields.toString());
        return await Promise.resolve({ status: 400, xml: '<ErrorResponse/>' });
      },
    };
    server = await startPlayground('aws', { sts });
    const reply = await fetch(server.url, form({ Action: 'AssumeRoleWithWebIdentity', A: 'ä&b' }));
    expect([reply.status, await reply.text()]).toEqual([400, '<ErrorResponse/>']);
    await fetch(`${server.url}/?Action=Other&B=1`, { method: 'POST' });
    expect(seen).toEqual(['Action=AssumeRoleWithWebIdentity&A=%C3%A4%26b', 'Action=Other&B=1']);
    expect(server.counters.snapshot()).toMatchObject({
      AssumeRoleWithWebIdentity: { requests: 1, errors: 1 },
      Other: { requests: 1, errors: 1 },
    });
    server.faults.failNext(1, {
      operation: 'AssumeRoleWithWebIdentity',
      status: 503,
      code: 'SlowDown',
    });
    const failed = await fetch(server.url, form({ Action: 'AssumeRoleWithWebIdentity' }));
    expect(failed.status).toBe(503);
    expect(seen).toHaveLength(2);
  });

  it('is not there unless given, nor for bodies that are no form', async () => {
    server = await startPlayground('minio');
    expect((await fetch(server.url, form({ Action: 'X' }))).status).toBe(501);
    const other = { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } };
    const reply = await fetch(server.url, other);
    expect([reply.status, (await reply.text()).includes('BadRequest')]).toEqual([400, true]);
  });

  it('issues keys that outlive expireNow when they are newer', async () => {
    const book = new Map<string, Principal>([[guest.accessKeyId, guest]]);
    const sts = {
      answer: async () => {
        const accessKeyId = `NEW${book.size}`;
        book.set(accessKeyId, { ...guest, accessKeyId });
        const xml = `<R><AccessKeyId>${accessKeyId}</AccessKeyId></R>`;
        return await Promise.resolve({ status: 200, xml });
      },
    };
    const principals = { find: (id: string) => book.get(id) };
    server = await startObjectServer({ dialect: 'aws', principals, sts }, never);
    server.foreign.createBucket('shared');
    const { url } = server;
    const list = async (accessKeyId: string): Promise<string | undefined> =>
      codeOf(await call(url, { path: '/shared' }, { ...guest, accessKeyId }));
    await fetch(url, form({ Action: 'A' }));
    expect(await list('NEW1')).toBeUndefined();
    server.expireNow();
    await fetch(url, form({ Action: 'A' }));
    expect([await list('GUEST'), await list('NEW1')]).toEqual(['ExpiredToken', 'ExpiredToken']);
    expect(await list('NEW2')).toBeUndefined();
  });
});
