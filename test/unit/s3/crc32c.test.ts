import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../../src/s3/crc32c.ts';

/** Bit by bit, as the polynomial is defined. */
function slowly(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

describe('crc32c', () => {
  it.each([
    ['the check value of the catalogue', Buffer.from('123456789'), 0xe3069283],
    ['32 bytes of zeros (RFC 3720 B.4)', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones (RFC 3720 B.4)', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['nothing', Buffer.alloc(0), 0],
  ])('of %s is right', (_, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum);
  });

  it('is the same in pieces, at any place in memory, and bit by bit', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200, size: 'max' }),
        fc.nat(200),
        fc.nat(7),
        (all, at, off) => {
          const moved = new Uint8Array(all.byteLength + off).subarray(off);
          moved.set(all);
          const whole = slowly(all);
          expect(crc32c(moved)).toBe(whole);
          expect(crc32c(moved.subarray(at), crc32c(moved.subarray(0, at)))).toBe(whole);
        },
      ),
    );
  });
});
