/**
 * The file format of the index on disk: a first line that names it, then records one after the
 * other, each with its length and a CRC-32 of what follows. A file that ends in the middle of a
 * record, or was damaged, is good up to there: records only add to what those before them say.
 */
import { crc32 } from 'node:zlib';

export const INDEX_MAGIC: Buffer = Buffer.from('wire index 1\n');

export const recordTypes = ['attributes', 'listing', 'changed'] as const;
export type RecordType = (typeof recordTypes)[number];

export interface IndexRecord {
  readonly type: RecordType;
  /** The directory it is about: its bucket and prefix. */
  readonly directory: string;
  readonly body: Buffer;
}

// Length of the payload, CRC-32 of the payload; then type, length of the directory, directory, body.
const HEAD_BYTES = 8;
const FIELDS_BYTES = 3;
/** More cannot be one of ours. */
const MOST_PAYLOAD_BYTES = 64 * 1024 * 1024;

export function encodeRecord({ type, directory, body }: IndexRecord): Buffer {
  const name = Buffer.from(directory, 'utf8');
  const fields = Buffer.alloc(FIELDS_BYTES);
  fields.writeUInt8(recordTypes.indexOf(type), 0);
  fields.writeUInt16LE(name.length, 1);
  const payload = Buffer.concat([fields, name, body]);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(payload.length, 0);
  head.writeUInt32LE(crc32(payload), 4);
  return Buffer.concat([head, payload]);
}

/** The records of a file, as far as it is whole; none of a file of another kind. */
export function* recordsIn(file: Buffer): Generator<IndexRecord> {
  if (!file.subarray(0, INDEX_MAGIC.length).equals(INDEX_MAGIC)) return;
  for (let at = INDEX_MAGIC.length; at + HEAD_BYTES <= file.length; ) {
    const bytes = file.readUInt32LE(at);
    const end = at + HEAD_BYTES + bytes;
    if (bytes > MOST_PAYLOAD_BYTES || end > file.length) return;
    const payload = file.subarray(at + HEAD_BYTES, end);
    if (crc32(payload) !== file.readUInt32LE(at + 4)) return;
    const record = decodePayload(payload);
    if (record === undefined) return;
    yield record;
    at = end;
  }
}

function decodePayload(payload: Buffer): IndexRecord | undefined {
  if (payload.length < FIELDS_BYTES) return undefined;
  const type = recordTypes[payload.readUInt8(0)];
  const bodyAt = FIELDS_BYTES + payload.readUInt16LE(1);
  if (type === undefined || bodyAt > payload.length) return undefined;
  const directory = payload.toString('utf8', FIELDS_BYTES, bodyAt);
  return { type, directory, body: payload.subarray(bodyAt) };
}
