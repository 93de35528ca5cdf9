/**
 * Versions of objects, packed: an ETag is nearly always an MD5 in quotes, with the number of parts
 * of an upload, which takes 18 bytes where the text takes 60. Others are kept as they are.
 */

/** Bytes that `packEtag` fills. */
export const ETAG_BYTES = 18;

/** The longest text: two quotes, the hash, a dash and five digits. */
export const ETAG_TEXT_BYTES = 40;

const HASH_BYTES = 16;
const HEX = '0123456789abcdef';
const QUOTE = 0x22;
const DASH = 0x2d;
const ZERO = 0x30;
/** Uploads have at most 10,000 parts (S3); 0: not by parts. */
const MOST_PARTS = 0xffff;

/** Packs `etag` into `bytes` at `at`; false when it is another text than those told above. */
export function packEtag(etag: string, bytes: Uint8Array, at: number): boolean {
  const last = etag.length - 1;
  if (last < 33 || etag.charCodeAt(0) !== QUOTE || etag.charCodeAt(last) !== QUOTE) return false;
  for (let nth = 0; nth < HASH_BYTES; nth += 1) {
    const high = nibble(etag.charCodeAt(1 + nth * 2));
    const low = nibble(etag.charCodeAt(2 + nth * 2));
    if (high < 0 || low < 0) return false;
    bytes[at + nth] = high * 16 + low;
  }
  const parts = partsOf(etag, last);
  if (parts === undefined) return false;
  bytes[at + HASH_BYTES] = parts & 0xff;
  bytes[at + HASH_BYTES + 1] = parts >>> 8;
  return true;
}

/**
 * The text that `packEtag` packed. It is made in `room`, `ETAG_TEXT_BYTES` long, and not added up:
 * V8 would keep a text of forty pieces as a tree of ten times its size.
 */
export function unpackEtag(bytes: Uint8Array, at: number, room: Buffer): string {
  let end = 0;
  room[end++] = QUOTE;
  for (let nth = at; nth < at + HASH_BYTES; nth += 1) {
    const byte = bytes[nth] ?? 0;
    room[end++] = HEX.charCodeAt(byte >>> 4);
    room[end++] = HEX.charCodeAt(byte & 15);
  }
  const parts = (bytes[at + HASH_BYTES] ?? 0) + (bytes[at + HASH_BYTES + 1] ?? 0) * 256;
  if (parts > 0) end += room.write(`-${parts}`, end, 'latin1');
  room[end++] = QUOTE;
  return room.toString('latin1', 0, end);
}

/** The number after the hash: 0 for none, undefined for what would not come back as it is. */
function partsOf(etag: string, last: number): number | undefined {
  if (last === 33) return 0;
  if (etag.charCodeAt(33) !== DASH || etag.charCodeAt(34) === ZERO) return undefined;
  let parts = 0;
  for (let at = 34; at < last; at += 1) {
    const digit = etag.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    parts = parts * 10 + digit;
    if (parts > MOST_PARTS) return undefined;
  }
  return parts === 0 ? undefined : parts;
}

function nibble(code: number): number {
  if (code >= ZERO && code <= 0x39) return code - ZERO;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
}
