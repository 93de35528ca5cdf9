/**
 * The file format of a journal: a head that names it, then records one after the other. Pure.
 *
 * Head (32 bytes): magic, salt, place in the order of files, CRC-32 of all before. The salt is
 * another for each use of a file, stands before each record and is where its CRC-32 begins: what
 * an earlier use has left behind the last record is none.
 *
 * Record: salt, length of what follows the CRC, CRC-32 of that; then type, id, length of the JSON,
 * JSON, inline bytes. Numbers are little-endian. A record that was cut or damaged is no reason to
 * doubt those after it: the salt tells where the next one may begin.
 */
import { crc32 } from 'node:zlib';

/** 16 bytes; another format has another. */
const MAGIC = Buffer.from('wire journal 1\n\0', 'latin1');
const SALT_AT = 16;
const ORDER_AT = 20;
const HEAD_CRC_AT = 28;
export const FILE_HEAD_BYTES = 32;

const RECORD_HEAD_BYTES = 12;
/** Type (1), id (6), length of the JSON (4). */
const FIELDS_BYTES = 11;

export const recordTypes = ['life', 'note', 'change', 'forget', 'settled'] as const;
/**
 * `note`: an intent with its inline bytes, in place of all that was said of the id before;
 * `change`: another intent with the same inline bytes; `settled`: the file it names is on the disk.
 */
export type RecordType = (typeof recordTypes)[number];

export interface FileHead {
  readonly salt: number;
  readonly order: number;
}

export interface JournalRecord {
  readonly type: RecordType;
  readonly id: number;
  readonly json: string;
  /** Where its inline bytes are in the file. */
  readonly contentAt: number;
  readonly contentBytes: number;
}

/** What `recordsIn` comes across. */
export type Found =
  | { readonly record: JournalRecord }
  /** A record may have been here. */
  | { readonly damage: number };

export function encodeFileHead({ salt, order }: FileHead): Buffer {
  const head = Buffer.alloc(FILE_HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(salt, SALT_AT);
  head.writeUIntLE(order, ORDER_AT, 6);
  head.writeUInt32LE(crc32(head.subarray(0, HEAD_CRC_AT)), HEAD_CRC_AT);
  return head;
}

/** Undefined for a file that is none of ours. */
export function decodeFileHead(file: Buffer): FileHead | undefined {
  if (file.length < FILE_HEAD_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC)) {
    return undefined;
  }
  if (crc32(file.subarray(0, HEAD_CRC_AT)) !== file.readUInt32LE(HEAD_CRC_AT)) return undefined;
  return { salt: file.readUInt32LE(SALT_AT), order: file.readUIntLE(ORDER_AT, 6) };
}

/** What stands before the inline bytes of a record. `content` is not copied. */
export function encodeRecord(
  salt: number,
  { type, id, json }: Pick<JournalRecord, 'type' | 'id' | 'json'>,
  content: readonly Uint8Array[],
): Buffer {
  const jsonBytes = Buffer.byteLength(json);
  const start = RECORD_HEAD_BYTES + FIELDS_BYTES;
  const head = Buffer.allocUnsafe(start + jsonBytes);
  head.writeUInt8(recordTypes.indexOf(type), RECORD_HEAD_BYTES);
  head.writeUIntLE(id, RECORD_HEAD_BYTES + 1, 6);
  head.writeUInt32LE(jsonBytes, RECORD_HEAD_BYTES + 7);
  head.write(json, start);
  let crc = crc32(head.subarray(RECORD_HEAD_BYTES), salt);
  let bytes = FIELDS_BYTES + jsonBytes;
  for (const piece of content) {
    crc = crc32(piece, crc);
    bytes += piece.byteLength;
  }
  head.writeUInt32LE(salt, 0);
  head.writeUInt32LE(bytes, 4);
  head.writeUInt32LE(crc, 8);
  return head;
}

/** The records of a whole file, and where one is lost of which later ones tell. */
export function* recordsIn(file: Buffer, { salt }: FileHead): Generator<Found> {
  const mark = Buffer.alloc(4);
  mark.writeUInt32LE(salt, 0);
  let damage: number | undefined;
  for (let at = FILE_HEAD_BYTES; at >= 0; ) {
    const end = endOfRecord(file, at, salt);
    if (end === undefined) {
      damage ??= at;
      at = file.indexOf(mark, at + 1);
      continue;
    }
    // Without a record behind it, it is the end of what was written.
    if (damage !== undefined) yield { damage };
    damage = undefined;
    yield { record: decodeRecord(file, at, end) };
    at = end;
  }
}

/** Undefined where no whole record begins at `at`. */
function endOfRecord(file: Buffer, at: number, salt: number): number | undefined {
  if (at + RECORD_HEAD_BYTES + FIELDS_BYTES > file.length) return undefined;
  if (file.readUInt32LE(at) !== salt) return undefined;
  const start = at + RECORD_HEAD_BYTES;
  const end = start + file.readUInt32LE(at + 4);
  if (end > file.length || end < start + FIELDS_BYTES) return undefined;
  if (crc32(file.subarray(start, end), salt) !== file.readUInt32LE(at + 8)) return undefined;
  const isKnown = file.readUInt8(start) < recordTypes.length;
  return isKnown && start + FIELDS_BYTES + file.readUInt32LE(start + 7) <= end ? end : undefined;
}

function decodeRecord(file: Buffer, at: number, end: number): JournalRecord {
  const start = at + RECORD_HEAD_BYTES;
  const jsonAt = start + FIELDS_BYTES;
  const contentAt = jsonAt + file.readUInt32LE(start + 7);
  return {
    type: recordTypes[file.readUInt8(start)] ?? 'forget', // its range was looked at
    id: file.readUIntLE(start + 1, 6),
    json: file.toString('utf8', jsonAt, contentAt),
    contentAt,
    contentBytes: end - contentAt,
  };
}
