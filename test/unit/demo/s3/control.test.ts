import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectServer } from '../../../../src/demo/s3/object-server.ts';
import { guest, root, startPlayground } from './fixtures/playground.ts';
import { call, codeOf } from './fixtures/raw-client.ts';

let server: ObjectServer;

beforeEach(async () => {
  server = await startPlayground();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

async function control(name: string, ...args: unknown[]): Promise<unknown> {
  const url = `${server.url}/_playground/s3/${name}`;
  const reply = await fetch(url, { method: 'POST', body: JSON.stringify(args) });
  const { value, error } = (await reply.json()) as { value?: unknown; error?: string };
  if (!reply.ok) throw new Error(`${reply.status} ${error ?? ''}`);
  return value;
}

describe('the control door', () => {
  it('reads and writes objects past everything', async () => {
    await control('createBucket', 'other');
    await control('putObject', 'other', 'k', 'hello');
    expect(await control('objects', 'other')).toMatchObject([{ key: 'k', size: 5 }]);
    expect(await control('head', 'other', 'k')).toMatchObject({ key: 'k', size: 5 });
    expect(await control('getObject', 'other', 'k')).toBe(Buffer.from('hello').toString('base64'));
    expect(await control('deleteObject', 'other', 'k')).toBe(true);
    expect(await control('getObject', 'other', 'k')).toBeNull();
    const spec = { name: 'many', keys: 5, layout: 'flat', objectBytes: 1 };
    await control('addSyntheticBucket', spec);
    const listed = await call(server.url, { path: '/many' }, root);
    expect(listed.text).toContain('object-00000004');
  });

  it('plants faults, sets limits, counts and expires', async () => {
    server.foreign.putObject('shared', 'k', 'x');
    await control('failNext', 1, { status: 500, code: 'InternalError' });
    expect((await call(server.url, { path: '/shared/k' }, root)).status).toBe(500);
    await control('set', { requestsPerSecond: 0, latencyMs: 1 });
    expect((await call(server.url, { path: '/shared/k' }, root)).status).toBe(503);
    await control('set', { requestsPerSecond: null, latencyMs: null });
    expect(server.faults.latencyMs).toBe(0);
    await control('expireNow');
    expect(codeOf(await call(server.url, { path: '/shared/k' }, guest))).toBe('ExpiredToken');
    expect(await control('snapshot')).toMatchObject({ GetObject: { requests: 3, errors: 3 } });
    await control('reset');
    expect(await control('snapshot')).toEqual({});
  });

  it('refuses what it does not know', async () => {
    await expect(control('constructor')).rejects.toThrow('404');
    await expect(control('objects', 'none')).rejects.toThrow('400');
    await expect(control('set', 5)).rejects.toThrow('400');
  });
});
