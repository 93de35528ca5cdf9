/**
 * The record of an object version: a head that says whose it is, and a slot for each block that
 * proves it. The head has its own sum; a slot is written after its block and needs none, since a
 * wrong slot proves no bytes.
 *
 * Head, little endian: magic (8), length of the head (4), length of the text (4), generation (8),
 * digest (32), text, CRC-32 of all before it (4), zeros up to a multiple of 64.
 * After it the slots; then, of an object of one block, the block itself.
 */
import { crc32 } from 'node:zlib';

const MAGIC = Buffer.from('wireblk1');
const TEXT_AT = 56;
const ALIGNMENT = 64;
/** Longer names are not kept: a key has at most 1,024 bytes, and JSON may make six of each. */
const MAX_TEXT_BYTES = 16 * 1024;
/** What is read of a record at first: all of the head but for the longest keys, and some slots. */
export const FIRST_LOOK_BYTES = 4096;

export interface RecordHead {
  /** 16 hex digits that the names of the record's data file contain. */
  readonly generation: string;
  readonly digest: Uint8Array;
  /** Of the identity, as the seal made it. */
  readonly text: Uint8Array;
  /** Where the slots begin. */
  readonly bytes: number;
}

/** Undefined when the text is too long to be kept. */
export function encodeHead(head: Omit<RecordHead, 'bytes'>): Buffer | undefined {
  const { generation, digest, text } = head;
  if (text.byteLength > MAX_TEXT_BYTES) return undefined;
  const sumAt = TEXT_AT + text.byteLength;
  const record = Buffer.alloc(Math.ceil((sumAt + 4) / ALIGNMENT) * ALIGNMENT);
  MAGIC.copy(record);
  record.writeUInt32LE(record.byteLength, 8);
  record.writeUInt32LE(text.byteLength, 12);
  record.write(generation, 16, 'hex');
  record.set(digest, 24);
  record.set(text, TEXT_AT);
  record.writeUInt32LE(crc32(record.subarray(0, sumAt)), sumAt);
  return record;
}

/** How long the head at the start of `record` is; undefined when that is none. */
export function headBytes(record: Buffer): number | undefined {
  if (record.byteLength < TEXT_AT || !record.subarray(0, 8).equals(MAGIC)) return undefined;
  const bytes = record.readUInt32LE(8);
  const least = TEXT_AT + record.readUInt32LE(12) + 4;
  return bytes >= least && bytes <= MAX_TEXT_BYTES + FIRST_LOOK_BYTES ? bytes : undefined;
}

/** Undefined when it is not a whole head. */
export function decodeHead(record: Buffer): RecordHead | undefined {
  const bytes = headBytes(record);
  if (bytes === undefined || record.byteLength < bytes) return undefined;
  const sumAt = TEXT_AT + record.readUInt32LE(12);
  if (record.readUInt32LE(sumAt) !== crc32(record.subarray(0, sumAt))) return undefined;
  const generation = record.toString('hex', 16, 24);
  return {
    generation,
    digest: record.subarray(24, TEXT_AT),
    text: record.subarray(TEXT_AT, sumAt),
    bytes,
  };
}
