/**
 * How an identity's blocks lie on the disk: in clear with a CRC, or sealed with AES-256-GCM.
 *
 * Either way a block's proof (its slot in the record) covers which object version and which block
 * it is, so that bytes moved to another place are noticed like changed ones. Sealed, the names of
 * folders and files are keyed hashes, and texts that name keys are sealed too.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ObjectIdentity } from './block-disk.ts';

/** How the blocks of one object version are proven. */
export interface BlockSeal {
  /** Bytes that prove one block; all zero says that there is none. A multiple of 4. */
  readonly slotBytes: number;
  /** Gives the bytes to store for a block, and fills its slot. */
  seal(index: number, block: Uint8Array, slot: Uint8Array): Uint8Array;
  /** Whether stored bytes are what the slot proves; they are the block's in clear after it. */
  unseal(index: number, stored: Uint8Array, slot: Uint8Array): boolean;
}

export interface DiskSeal {
  /** Whether the bytes of blocks lie there as they are. */
  readonly clear: boolean;
  /** Name of the folder of one identity: no other has it. */
  readonly folder: string;
  /** 32 bytes that name an object version. */
  digest(object: ObjectIdentity, blockBytes: number): Buffer;
  blocks(digest: Buffer): BlockSeal;
  sealText(text: string): Buffer;
  /** Undefined when it was not made by `sealText` of the same seal. */
  unsealText(sealed: Uint8Array): string | undefined;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** `owner` is opaque; with a `key` of 32 bytes everything is sealed with it. */
export function diskSeal(owner: string, key: Uint8Array | undefined): DiskSeal {
  return key === undefined ? clearSeal(owner) : keyedSeal(owner, key);
}

function clearSeal(owner: string): DiskSeal {
  const folder = createHash('sha256').update(`owner\0${owner}`).digest('hex');
  return {
    clear: true,
    folder: `clear-${folder.slice(0, 32)}`,
    digest: (object, blockBytes) =>
      createHash('sha256').update(textOf(object, blockBytes)).digest(),
    blocks: (digest) => new CheckedBlocks(digest),
    sealText: (text) => Buffer.from(text),
    unsealText: (sealed) => Buffer.from(sealed).toString(),
  };
}

function keyedSeal(owner: string, key: Uint8Array): DiskSeal {
  if (key.byteLength !== KEY_BYTES) throw new RangeError('a key of the cache has 32 bytes');
  const derived = (use: string): Buffer => createHmac('sha256', key).update(use).digest();
  const [names, texts, blocks] = [derived('names'), derived('texts'), derived('blocks')];
  const folder = createHmac('sha256', names).update(`owner\0${owner}`).digest('hex');
  const none = Buffer.alloc(0);
  return {
    clear: false,
    folder: `sealed-${folder.slice(0, 32)}`,
    digest: (object, blockBytes) =>
      createHmac('sha256', names).update(textOf(object, blockBytes)).digest(),
    // A key for each object: random nonces then repeat only after 2^32 blocks of one of them
    // (NIST SP 800-38D, 8.3).
    blocks: (digest) =>
      new SealedBlocks(createHmac('sha256', blocks).update(digest).digest(), digest),
    sealText: (text) => {
      const proof = Buffer.alloc(NONCE_BYTES + TAG_BYTES);
      const stored = encrypt(texts, none, Buffer.from(text), proof);
      return Buffer.concat([proof, stored]);
    },
    unsealText: (sealed) => {
      if (sealed.byteLength < NONCE_BYTES + TAG_BYTES) return undefined;
      const proof = sealed.subarray(0, NONCE_BYTES + TAG_BYTES);
      return decrypt(texts, none, sealed.subarray(proof.byteLength), proof)?.toString();
    },
  };
}

/** JSON, so that no two identities share a text. */
function textOf(object: ObjectIdentity, blockBytes: number): string {
  const { endpoint, bucket, key, etag, bytes } = object;
  return JSON.stringify([blockBytes, endpoint, bucket, key, etag, bytes]);
}

/** A CRC that starts from the block's place: the same bytes elsewhere have another. */
class CheckedBlocks implements BlockSeal {
  readonly slotBytes = 4;
  readonly #seed: number;
  readonly #place = Buffer.alloc(8);

  constructor(digest: Buffer) {
    this.#seed = digest.readUInt32LE(0);
  }

  seal(index: number, block: Uint8Array, slot: Uint8Array): Uint8Array {
    viewOf(slot).setUint32(0, this.#sum(index, block), true);
    return block;
  }

  unseal(index: number, stored: Uint8Array, slot: Uint8Array): boolean {
    return viewOf(slot).getUint32(0, true) === this.#sum(index, stored);
  }

  #sum(index: number, block: Uint8Array): number {
    this.#place.writeDoubleLE(index);
    const sum = crc32(block, crc32(this.#place, this.#seed));
    // Zero is a slot without a block.
    return sum === 0 ? 1 : sum;
  }
}

class SealedBlocks implements BlockSeal {
  /** Nonce, tag and a mark that there is one. */
  readonly slotBytes: number = NONCE_BYTES + TAG_BYTES + 4;
  readonly #key: Buffer;
  readonly #place: Buffer;

  constructor(key: Buffer, digest: Buffer) {
    this.#key = key;
    this.#place = Buffer.concat([digest, Buffer.alloc(8)]);
  }

  seal(index: number, block: Uint8Array, slot: Uint8Array): Uint8Array {
    slot.fill(1, NONCE_BYTES + TAG_BYTES);
    return encrypt(this.#key, this.#at(index), block, slot.subarray(0, NONCE_BYTES + TAG_BYTES));
  }

  unseal(index: number, stored: Uint8Array, slot: Uint8Array): boolean {
    const proof = slot.subarray(0, NONCE_BYTES + TAG_BYTES);
    const clear = decrypt(this.#key, this.#at(index), stored, proof);
    if (clear === undefined) return false;
    stored.set(clear);
    return true;
  }

  #at(index: number): Buffer {
    this.#place.writeDoubleLE(index, this.#place.byteLength - 8);
    return this.#place;
  }
}

/** Fills `proof` with nonce and tag. */
function encrypt(key: Buffer, place: Buffer, clear: Uint8Array, proof: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(place);
  const stored = cipher.update(clear);
  cipher.final();
  proof.set(nonce);
  proof.set(cipher.getAuthTag(), NONCE_BYTES);
  return stored;
}

function decrypt(
  key: Buffer,
  place: Buffer,
  stored: Uint8Array,
  proof: Uint8Array,
): Buffer | undefined {
  const nonce = proof.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(place);
  decipher.setAuthTag(proof.subarray(NONCE_BYTES));
  const clear = decipher.update(stored);
  try {
    decipher.final();
    return clear;
  } catch {
    return undefined;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
