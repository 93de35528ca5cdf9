import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listPage } from '../../../../src/demo/s3/listing.ts';
import { ObjectIndex } from '../../../../src/demo/s3/object-index.ts';
import type { ObjectServer } from '../../../../src/demo/s3/object-server.ts';
import { SyntheticEntries, SyntheticPattern } from '../../../../src/demo/s3/synthetic.ts';
import { clientOf, refusal, startPlayground } from './fixtures/playground.ts';

const GiB = 1024 ** 3;
const pattern = new SyntheticPattern();
let server: ObjectServer;
let client: ReturnType<typeof clientOf>;

beforeAll(async () => {
  server = await startPlayground();
  client = clientOf(server);
  const million = { name: 'million', keys: 1_000_000, layout: 'flat', objectBytes: 4096 } as const;
  server.foreign.addSyntheticBucket(million);
  server.foreign.addSyntheticBucket({
    name: 'huge',
    keys: 1,
    layout: 'flat',
    objectBytes: 10 * GiB,
  });
});

afterAll(async () => {
  client.destroy();
  await server[Symbol.asyncDispose]();
});

describe('a synthetic bucket', () => {
  it('lists like a real one with the same keys', () => {
    const layout = fc.oneof(
      fc.constant('flat' as const),
      fc.record({ directories: fc.integer({ min: 1, max: 9 }) }),
    );
    const args = [
      fc.nat(50),
      layout,
      fc.integer({ min: 1, max: 9 }),
      fc.boolean(),
      fc.nat(60),
    ] as const;
    fc.assert(
      fc.property(...args, (keys, shape, limit, folds, from) => {
        const spec = { name: 'x', keys, layout: shape, objectBytes: 1 };
        const made = new SyntheticEntries(spec, pattern);
        const real = new ObjectIndex<{ key: string }>();
        for (let i = 0; i < keys; i += 1) real.set({ key: made.key(i) });
        const query = {
          ...{ prefix: '', delimiter: folds ? '/' : '', limit, after: made.key(from) },
          ...{ objectsHideBelow: false, fullPageIsTruncated: false },
        };
        const names = (page: { entries: readonly { key: string }[] }): unknown => ({
          ...page,
          entries: page.entries.map(({ key }) => key),
        });
        expect(names(listPage(made, query))).toEqual(names(listPage(real, query)));
        for (let i = 0; i < keys; i += 1) expect(made.get(made.key(i))?.key).toBe(made.key(i));
        expect(made.get(made.key(keys))).toBeUndefined();
        expect(made.get('object-1')).toBeUndefined();
      }),
    );
  });

  it('gives a page of 1,000 at the end of a million as at the beginning', async () => {
    const list = async (StartAfter: string): Promise<(string | undefined)[]> => {
      const page = await client.send(new ListObjectsV2Command({ Bucket: 'million', StartAfter }));
      return (page.Contents ?? []).map((each) => each.Key);
    };
    expect(await list('')).toHaveLength(1000);
    const last = await list('object-00998999');
    expect([last[0], last.at(-1)]).toEqual(['object-00999000', 'object-00999999']);
  });

  it('gives the same bytes for any range, of any size', async () => {
    const Key = 'object-00000000';
    const start = 9 * GiB + 12_345;
    const got = await client.send(
      new GetObjectCommand({ Bucket: 'huge', Key, Range: `bytes=${start}-${start + 2_999_999}` }),
    );
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(pattern.read(Key, { start, end: start + 3_000_000 }))).toBe(true);
    const middle = { start: start + 1_000_000, end: start + 2_000_000 };
    expect(bytes.subarray(1_000_000, 2_000_000).equals(pattern.read(Key, middle))).toBe(true);
    expect(pattern.read('object-00000001', middle).equals(pattern.read(Key, middle))).toBe(false);
  });

  it('cannot be changed', async () => {
    const put = client.send(new PutObjectCommand({ Bucket: 'huge', Key: 'k', Body: 'x' }));
    expect((await refusal(put)).name).toBe('AccessDenied');
  });
});
