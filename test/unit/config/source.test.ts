import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSource, parseAddress, parseSource } from '../../../src/config/source.ts';

describe('parseSource', () => {
  it.each([
    ['s3://', { kind: 'buckets' }],
    ['s3://data', { kind: 'bucket', bucket: 'data', prefix: '' }],
    ['s3://data/', { kind: 'bucket', bucket: 'data', prefix: '' }],
    ['s3://data/a/b', { kind: 'bucket', bucket: 'data', prefix: 'a/b/' }],
    ['s3://data/a/b//', { kind: 'bucket', bucket: 'data', prefix: 'a/b/' }],
    ['s3://data/ä ö', { kind: 'bucket', bucket: 'data', prefix: 'ä ö/' }],
    ['s3://tenant:data', { kind: 'bucket', bucket: 'tenant:data', prefix: '' }],
    ['work', { kind: 'named', name: 'work' }],
    ['work-2.x_y', { kind: 'named', name: 'work-2.x_y' }],
  ])('reads %s', (text, source) => {
    expect(parseSource(text)).toEqual({ ok: true, value: source });
  });

  it.each([
    ['s3:///data', 'names no bucket'],
    ['s3://-data', 'names no bucket'],
    ['s3://da ta', 'names no bucket'],
    ['s3://data//a', 'empty'],
    ['s3://data/a/../b', '".."'],
    ['s3://data/.', '"."'],
    ['s3:/data', 'scheme'],
    ['S3://data', 'scheme'],
    ['https://s3.example/data', 'scheme'],
    ['/data', 'not a source'],
    ['./data', 'not a source'],
    ['', 'not a source'],
  ])('refuses %j: %s', (text, why) => {
    expect(parseSource(text)).toEqual({ ok: false, fault: expect.stringContaining(why) as string });
  });

  it('reads back what formatSource writes', () => {
    const part = fc.stringMatching(/^[^/]{1,8}$/).filter((name) => name !== '.' && name !== '..');
    const text = fc
      .tuple(fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,20}$/), fc.array(part, { maxLength: 4 }))
      .map(([bucket, parts]) => ['s3:/', bucket, ...parts].join('/'));
    fc.assert(
      fc.property(text, (typed) => {
        const parsed = parseSource(typed);
        if (!parsed.ok || parsed.value.kind === 'named') throw new Error(`refused ${typed}`);
        expect(parseSource(formatSource(parsed.value))).toEqual(parsed);
      }),
    );
  });
});

describe('the address of a bucket', () => {
  it.each([
    ['https://s3.example/data', 'https://s3.example', 's3://data'],
    ['https://s3.example:9000/data/', 'https://s3.example:9000', 's3://data'],
    ['https://S3.example:443/data/a/b', 'https://s3.example', 's3://data/a/b/'],
    ['http://127.0.0.1:9000/data/a%20b', 'http://127.0.0.1:9000', 's3://data/a b/'],
    ['https://s3.example/data/\u00e4 \u00f6', 'https://s3.example', 's3://data/\u00e4 \u00f6/'],
    ['https://[2001:db8::1]:9000/data', 'https://[2001:db8::1]:9000', 's3://data'],
  ])('%s is a bucket of an endpoint', (text, endpoint, source) => {
    const parsed = parseAddress(text);
    if (!parsed.ok) throw new Error(parsed.fault);
    expect([parsed.value.endpoint, formatSource(parsed.value.source)]).toEqual([endpoint, source]);
  });

  it.each([
    ['https://s3.example', 'names no bucket'],
    ['https://s3.example/', 'names no bucket'],
    ['https://s3.example//data', 'names no bucket'],
    ['http://s3.example/data', 'in clear'],
    ['https://me:pw@s3.example/data', 'user or password'],
    ['https://s3.example/data?x=1', '?query'],
    ['https://s3.example/data#x', '#fragment'],
    ['https://s3.example/data/a/../b', '".."'],
    ['https://s3.example/data/a/%2e%2e/b', '".."'],
    ['https://s3.example/data//a', 'empty'],
    ['https://s3.example/data/%zz', 'percent'],
    ['https:/s3.example/data', 'not a URL'],
    ['https://', 'not a URL'],
  ])('refuses %j: %s', (text, why) => {
    expect(parseAddress(text)).toEqual({
      ok: false,
      fault: expect.stringContaining(why) as string,
    });
  });
});
