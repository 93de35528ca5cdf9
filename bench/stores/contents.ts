/** What the objects of the benchmarks hold: each 4 KiB begin with their place in the object. */
import { type FileHandle, open } from 'node:fs/promises';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { KiB, MiB } from '../../src/lib/bytes.ts';

export const STAMP_EVERY_BYTES: number = 4 * KiB;

const PART_BYTES = 16 * MiB;
const PARTS_AT_A_TIME = 4;

/** Writes a file of `bytes`, a whole number of parts or less than one. */
export async function writeContents(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'wx');
  try {
    const part = Buffer.allocUnsafe(Math.min(PART_BYTES, bytes));
    crypto.getRandomValues(part.subarray(0, 64 * KiB));
    for (let at = 64 * KiB; at < part.length; at *= 2) part.copy(part, at, 0, at);
    for (let start = 0; start < bytes; start += part.length) {
      stamp(part, start);
      await file.write(part);
    }
    // Otherwise it is written out while something else is measured.
    await file.datasync();
  } finally {
    await file.close();
  }
}

function stamp(part: Buffer, start: number): void {
  for (let at = 0; at < part.length; at += STAMP_EVERY_BYTES) {
    part.writeBigUInt64LE(BigInt(start + at), at);
  }
}

/** @throws Error when these are not the bytes at `offset`. */
export function checkStamp(block: Buffer, offset: number): void {
  const stamped = block.readBigUInt64LE(0);
  if (stamped !== BigInt(offset)) throw new Error(`the bytes at ${offset} are those at ${stamped}`);
}

export interface Upload {
  readonly client: S3Client;
  readonly bucket: string;
  /** Of this file, to each of `keys`. */
  readonly path: string;
  readonly keys: readonly string[];
}

export async function uploadContents(upload: Upload, signal: AbortSignal): Promise<void> {
  const file = await open(upload.path);
  try {
    const { size } = await file.stat();
    for (const key of upload.keys) await uploadOne(upload, file, size, key, signal);
  } finally {
    await file.close();
  }
}

async function uploadOne(
  { client, bucket: Bucket }: Upload,
  file: FileHandle,
  size: number,
  Key: string,
  abortSignal: AbortSignal,
): Promise<void> {
  const options = { abortSignal };
  const begun = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }), options);
  const UploadId = begun.UploadId ?? '';
  const numbers = Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, at) => at + 1);
  const tags: string[] = [];
  const waiting = numbers.values();
  const sendRest = async (): Promise<void> => {
    const part = Buffer.allocUnsafe(PART_BYTES);
    for (const PartNumber of waiting) {
      const { bytesRead } = await file.read(part, 0, PART_BYTES, (PartNumber - 1) * PART_BYTES);
      const Body = part.subarray(0, bytesRead);
      const sent = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body });
      tags[PartNumber - 1] = (await client.send(sent, options)).ETag ?? '';
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_A_TIME }, sendRest));
  const Parts = numbers.map((PartNumber, at) => ({ PartNumber, ETag: tags[at] }));
  const completed = { Bucket, Key, UploadId, MultipartUpload: { Parts } };
  await client.send(new CompleteMultipartUploadCommand(completed), options);
}
