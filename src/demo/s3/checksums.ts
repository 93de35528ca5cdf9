/** Checksums a client may send with a body, and those of uploads made of parts. */
import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Crc, Crc32c, Crc64Nvme, joinCrcs } from './crc.ts';
import { S3Error } from './errors.ts';

export const checksumNames = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
export type ChecksumName = (typeof checksumNames)[number];

/** How an object's checksum relates to its bytes. */
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** As kept with an object or part; `value` is base64, with `-N` after it when composite. */
export interface Checksum {
  readonly name: ChecksumName;
  readonly type: ChecksumType;
  readonly value: string;
}

const bytesOf: Readonly<Record<ChecksumName, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};

export const checksumHeader = (name: ChecksumName): string =>
  `x-amz-checksum-${name.toLowerCase()}`;

/** `CRC32` for `crc32` and the like. */
export function checksumNamed(text: string | undefined): ChecksumName | undefined {
  return checksumNames.find((name) => name === text?.toUpperCase());
}

/**
 * The algorithm and, unless it comes in a trailer, the value that `headers` announce.
 *
 * @throws S3Error InvalidArgument for a malformed value or two of them
 */
export function announcedChecksum(
  header: (name: string) => string | undefined,
): { name: ChecksumName; value?: string } | undefined {
  const given = checksumNames.filter((name) => header(checksumHeader(name)) !== undefined);
  if (given.length > 1) throw new S3Error('InvalidArgument', 'Expecting a single checksum header.');
  const [name] = given;
  if (name !== undefined) return { name, value: wellFormed(name, header(checksumHeader(name))) };
  const trailer = header('x-amz-trailer')?.toLowerCase();
  const trailing = checksumNames.find((each) => checksumHeader(each) === trailer);
  return trailing === undefined ? undefined : { name: trailing };
}

/** @throws S3Error InvalidArgument unless `value` is base64 of the right length. */
export function wellFormed(name: ChecksumName, value = ''): string {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length === bytesOf[name] && bytes.toString('base64') === value) return value;
  throw new S3Error('InvalidArgument', `Value for ${checksumHeader(name)} header is invalid.`);
}

class Crc32 implements Crc {
  #crc = 0;

  update(bytes: Buffer): void {
    this.#crc = crc32(bytes, this.#crc);
  }

  digest(): Buffer {
    const out = Buffer.alloc(4);
    out.writeUInt32BE(this.#crc);
    return out;
  }
}

export function startChecksum(name: ChecksumName): Crc | Hash {
  switch (name) {
    case 'CRC32':
      return new Crc32();
    case 'CRC32C':
      return new Crc32c();
    case 'CRC64NVME':
      return new Crc64Nvme();
    case 'SHA1':
    case 'SHA256':
      return createHash(name.toLowerCase());
  }
}

/** A part as checksums see it. */
export interface CheckedPart {
  readonly size: number;
  readonly checksum: Checksum;
}

/** The checksum of a completed upload from those of its parts, none of which is missing. */
export function joinChecksums(
  name: ChecksumName,
  type: ChecksumType,
  parts: readonly CheckedPart[],
): Checksum {
  const digests = parts.map(({ checksum }): Buffer => Buffer.from(checksum.value, 'base64'));
  if (type === 'COMPOSITE') {
    const hash = startChecksum(name);
    for (const digest of digests) hash.update(digest);
    return { name, type, value: `${hash.digest().toString('base64')}-${parts.length}` };
  }
  if (name === 'SHA1' || name === 'SHA256') {
    throw new S3Error('InvalidRequest', `${name} has no checksum of the full object.`);
  }
  const whole = digests.reduce((first: Buffer, second: Buffer, i) =>
    joinCrcs(name, first, second, parts[i]?.size ?? 0),
  );
  return { name, type, value: whole.toString('base64') };
}
