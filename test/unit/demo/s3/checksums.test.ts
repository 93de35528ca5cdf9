import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  announcedChecksum,
  checksumNames,
  joinChecksums,
  startChecksum,
} from '../../../../src/demo/s3/checksums.ts';
import { joinCrcs } from '../../../../src/demo/s3/crc.ts';

type Name = (typeof checksumNames)[number];

function digest(name: Name, ...pieces: readonly Uint8Array[]): Buffer {
  const hash = startChecksum(name);
  for (const piece of pieces) hash.update(Buffer.from(piece));
  return hash.digest();
}

describe('startChecksum', () => {
  // Check values of the CRC catalogue (reveng): the CRC of the nine digits.
  it.each([
    ['CRC32', 'cbf43926'],
    ['CRC32C', 'e3069283'],
    ['CRC64NVME', 'ae8b14860a799888'],
  ] as const)('gives the catalogue value of %s', (name, expected) => {
    expect(digest(name, Buffer.from('123456789')).toString('hex')).toBe(expected);
  });

  it('does not care how the bytes are cut', () => {
    const bytes = fc.uint8Array({ maxLength: 100, size: 'max' });
    fc.assert(
      fc.property(fc.constantFrom(...checksumNames), bytes, bytes, (name, a, b) => {
        expect(digest(name, a, b)).toEqual(digest(name, Buffer.concat([a, b])));
      }),
    );
  });
});

describe('joinCrcs', () => {
  it('gives the CRC of both ranges from the CRC of each', () => {
    const bytes = fc.uint8Array({ maxLength: 300, size: 'max' });
    fc.assert(
      fc.property(fc.constantFrom('CRC32', 'CRC32C', 'CRC64NVME'), bytes, bytes, (name, a, b) => {
        const joined = joinCrcs(name, digest(name, a), digest(name, b), b.length);
        expect(joined).toEqual(digest(name, a, b));
      }),
    );
  });
});

describe('joinChecksums', () => {
  it('makes a composite from the digests, with the number of parts', () => {
    const parts = ['one', 'two'].map((text) => ({
      size: text.length,
      checksum: {
        name: 'SHA256' as const,
        type: 'FULL_OBJECT' as const,
        value: createHash('sha256').update(text).digest('base64'),
      },
    }));
    const raw = ['one', 'two'].map((text) => createHash('sha256').update(text).digest());
    const expected = `${createHash('sha256').update(Buffer.concat(raw)).digest('base64')}-2`;
    expect(joinChecksums('SHA256', 'COMPOSITE', parts).value).toBe(expected);
    expect(() => joinChecksums('SHA256', 'FULL_OBJECT', parts)).toThrow();
  });
});

describe('announcedChecksum', () => {
  const from = (headers: Record<string, string>): unknown =>
    announcedChecksum((name) => headers[name]);

  it('refuses a malformed value and two values, and knows a trailer', () => {
    expect(() => from({ 'x-amz-checksum-crc32': 'abc' })).toThrow('invalid');
    const two = { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' };
    expect(() => from(two)).toThrow('single');
    expect(from({ 'x-amz-trailer': 'x-amz-checksum-sha1' })).toEqual({ name: 'SHA1' });
    expect(from({})).toBeUndefined();
  });
});
