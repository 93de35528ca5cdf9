import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  copySource,
  decodeListedKey,
  etagOfParts,
  parseContentRange,
  rangeHeader,
  sameEtag,
} from '../../../src/s3/s3-encoding.ts';
import { conditionHeaders } from '../../../src/s3/write-headers.ts';

const keys = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));

describe('keys in listings', () => {
  it('come back from either form of encoding: a space as + or as %20', () => {
    fc.assert(
      fc.property(keys, (key) => {
        expect(decodeListedKey(encodeURIComponent(key))).toBe(key);
        expect(decodeListedKey(encodeURIComponent(key).replaceAll('%20', '+'))).toBe(key);
      }),
    );
  });
});

describe('copySource', () => {
  it('is ASCII, keeps the slashes, and decodes to bucket and key', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const source = copySource('bucket', key);
        expect(source).toMatch(/^[A-Za-z0-9._~%/-]*$/);
        expect(source.split('/')).toHaveLength(key.split('/').length + 1);
        expect(decodeURIComponent(source)).toBe(`bucket/${key}`);
      }),
    );
  });

  it('encodes what encodeURIComponent leaves', () => {
    expect(copySource('b', "a!'()*~/c d+")).toBe('b/a%21%27%28%29%2A~/c%20d%2B');
  });
});

describe('conditions of a write', () => {
  it('name the ETag without quotes, as Ceph RGW wants it', () => {
    expect(conditionHeaders({ must: 'be', etag: '"abc"' })).toEqual([['if-match', 'abc']]);
    expect(conditionHeaders({ must: 'be-absent' })).toEqual([['if-none-match', '*']]);
    expect(conditionHeaders(undefined)).toEqual([]);
  });
});

describe('ranges', () => {
  it('are written with both ends inclusive and read back', () => {
    expect(rangeHeader({ start: 0, end: 100 })).toBe('bytes=0-99');
    expect(parseContentRange('bytes 5-9/1234')).toEqual({
      extent: { start: 5, end: 10 },
      bytes: 1234,
    });
    expect(parseContentRange('bytes */1234')).toBeUndefined();
    expect(parseContentRange('items 5-9/1234')).toBeUndefined();
  });
});

describe('ETags', () => {
  it('are the same with quotes or without, weak or strong', () => {
    expect(sameEtag('"a"', 'a')).toBe(true);
    expect(sameEtag('W/"a"', '"a"')).toBe(true);
    expect(sameEtag('"a"', '"b"')).toBe(false);
  });

  it('of an upload are the MD5 of its parts\u2019 MD5s, and their count', () => {
    const md5 = (text: string | Buffer): Buffer => createHash('md5').update(text).digest();
    const whole = md5(Buffer.concat([md5('a'), md5('b')])).toString('hex');
    const parts = [md5('a'), md5('b')].map((sum) => `"${sum.toString('hex')}"`);
    expect(etagOfParts(parts)).toBe(`"${whole}-2"`);
  });
});
