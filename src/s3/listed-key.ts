/**
 * Keys of a listing asked for with `encoding-type=url`: form encoding, so '+' is a space. Decoded
 * from their bytes: decodeURIComponent takes ten times as long for a key of a few folders.
 */
import { isUtf8 } from 'node:buffer';
import type { XmlSpan } from './xml-reader.ts';

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

/**
 * The key that stands in `span`, which is ASCII; undefined when its encoding is broken. Never a
 * part of a larger text, which would live as long as the key.
 */
export function decodeListedSpan(
  bytes: Buffer,
  { start, end }: XmlSpan,
  decodes: boolean,
): string | undefined {
  for (let at = start; decodes && at < end; at += 1) {
    if (bytes[at] === PERCENT || bytes[at] === PLUS) return decoded(bytes, start, end);
  }
  return bytes.toString('latin1', start, end);
}

function decoded(bytes: Buffer, start: number, end: number): string | undefined {
  const room = Buffer.allocUnsafe(end - start);
  let length = 0;
  let isAscii = true;
  for (let at = start; at < end; at += 1) {
    let byte = bytes[at] ?? 0;
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT) {
      const high = at + 2 < end ? nibble(bytes[at + 1] ?? 0) : -1;
      const low = at + 2 < end ? nibble(bytes[at + 2] ?? 0) : -1;
      if (high < 0 || low < 0) return undefined;
      byte = high * 16 + low;
      at += 2;
    }
    if (byte >= 0x80) isAscii = false;
    room[length] = byte;
    length += 1;
  }
  if (isAscii) return room.toString('latin1', 0, length);
  return isUtf8(room.subarray(0, length)) ? room.toString('utf8', 0, length) : undefined;
}

function nibble(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
