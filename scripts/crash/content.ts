/** Bytes that no two versions of a file share, and how versions are told apart. */
import { createHash } from 'node:crypto';
import { KiB, MiB } from '../../src/lib/bytes.ts';
import type { Random } from '../../test/fixtures/random.ts';
import type { Version } from './truth.ts';

const STAMP_EVERY_BYTES = 4 * KiB;
/** Enough to tell versions of a test apart. */
const HASH_CHARS = 16;

/** `bytes` that name their writer and version each 4 KiB. */
export function madeOf(bytes: number, writer: number, version: number): Buffer {
  const made = Buffer.alloc(bytes, `${writer}.${version} `);
  for (let at = 0; at + 8 <= bytes; at += STAMP_EVERY_BYTES) made.writeBigUInt64LE(BigInt(at), at);
  return made;
}

export function hashOf(content: Uint8Array): string {
  return createHash('sha1').update(content).digest('hex').slice(0, HASH_CHARS);
}

export function versionOf(content: Uint8Array, synced: boolean): Version {
  return { kind: 'file', bytes: content.length, hash: hashOf(content), synced };
}

/** A size for a file. Mostly small; one in forty is of `largeBytes` and more, which is sent in parts. */
export function drawnSize(random: Random, largeBytes: number): number {
  const kind = random.below(40);
  if (kind === 0) return largeBytes + random.below(4 * KiB);
  if (kind < 6) return random.below(2 * MiB);
  return random.below(16 * KiB);
}
