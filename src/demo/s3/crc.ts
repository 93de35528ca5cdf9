/** CRC-32C and CRC-64/NVME (CRC-32 is Node's own), and joining the CRCs of adjacent bytes. */

/** Reflected polynomials. */
const CRC32_POLYNOMIAL = 0xedb88320n;
const CRC32C_POLYNOMIAL = 0x82f63b78n;
const CRC64NVME_POLYNOMIAL = 0x9a6c9329ac4bc9b5n;

/** Bytes taken in one step ("slicing by eight"). */
const SLICES = 8;

interface Tables {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

/** Entry `slice * 256 + byte`: the CRC of `byte` followed by `slice` zero bytes, in two halves. */
function makeTables(polynomial: bigint): Tables {
  const low = new Uint32Array(SLICES * 256);
  const high = new Uint32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = BigInt(byte);
    for (let slice = 0; slice < SLICES; slice += 1) {
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
      low[slice * 256 + byte] = Number(crc & 0xffffffffn);
      high[slice * 256 + byte] = Number(crc >> 32n);
    }
  }
  return { low, high };
}

/** A running CRC. */
export interface Crc {
  update(bytes: Buffer): void;
  digest(): Buffer;
}

/* eslint-disable @typescript-eslint/no-non-null-assertion -- every index is below 2048 by its mask */

const crc32cTable = makeTables(CRC32C_POLYNOMIAL).low;

export class Crc32c implements Crc {
  #crc = 0xffffffff;

  update(bytes: Buffer): void {
    const t = crc32cTable;
    let crc = this.#crc;
    let at = 0;
    for (const end = bytes.length - 7; at < end; at += 8) {
      const first = (bytes.readInt32LE(at) ^ crc) >>> 0;
      const second = bytes.readInt32LE(at + 4) >>> 0;
      crc =
        t[1792 + (first & 255)]! ^
        t[1536 + ((first >>> 8) & 255)]! ^
        t[1280 + ((first >>> 16) & 255)]! ^
        t[1024 + (first >>> 24)]! ^
        t[768 + (second & 255)]! ^
        t[512 + ((second >>> 8) & 255)]! ^
        t[256 + ((second >>> 16) & 255)]! ^
        t[second >>> 24]!;
    }
    for (; at < bytes.length; at += 1) crc = t[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8);
    this.#crc = crc;
  }

  digest(): Buffer {
    const out = Buffer.alloc(4);
    out.writeUInt32BE(~this.#crc >>> 0);
    return out;
  }
}

const crc64 = makeTables(CRC64NVME_POLYNOMIAL);

export class Crc64Nvme implements Crc {
  #low = 0xffffffff;
  #high = 0xffffffff;

  update(bytes: Buffer): void {
    const { low: l, high: h } = crc64;
    let low = this.#low;
    let high = this.#high;
    let at = 0;
    for (const end = bytes.length - 7; at < end; at += 8) {
      low = (low ^ bytes.readInt32LE(at)) >>> 0;
      high = (high ^ bytes.readInt32LE(at + 4)) >>> 0;
      const a = 1792 + (low & 255);
      const b = 1536 + ((low >>> 8) & 255);
      const c = 1280 + ((low >>> 16) & 255);
      const d = 1024 + (low >>> 24);
      const e = 768 + (high & 255);
      const f = 512 + ((high >>> 8) & 255);
      const g = 256 + ((high >>> 16) & 255);
      const i = high >>> 24;
      low = l[a]! ^ l[b]! ^ l[c]! ^ l[d]! ^ l[e]! ^ l[f]! ^ l[g]! ^ l[i]!;
      high = h[a]! ^ h[b]! ^ h[c]! ^ h[d]! ^ h[e]! ^ h[f]! ^ h[g]! ^ h[i]!;
    }
    for (; at < bytes.length; at += 1) {
      const index = (low ^ bytes[at]!) & 255;
      low = (((low >>> 8) | (high << 24)) ^ l[index]!) >>> 0;
      high = ((high >>> 8) ^ h[index]!) >>> 0;
    }
    this.#low = low >>> 0;
    this.#high = high >>> 0;
  }

  digest(): Buffer {
    const out = Buffer.alloc(8);
    out.writeUInt32BE(~this.#high >>> 0, 0);
    out.writeUInt32BE(~this.#low >>> 0, 4);
    return out;
  }
}

/* eslint-enable @typescript-eslint/no-non-null-assertion */

export type CrcName = 'CRC32' | 'CRC32C' | 'CRC64NVME';

const polynomialOf: Readonly<Record<CrcName, bigint>> = {
  CRC32: CRC32_POLYNOMIAL,
  CRC32C: CRC32C_POLYNOMIAL,
  CRC64NVME: CRC64NVME_POLYNOMIAL,
};

/** The CRC of two adjacent ranges from each range's CRC and the second one's length. */
export function joinCrcs(
  name: CrcName,
  first: Buffer,
  second: Buffer,
  secondBytes: number,
): Buffer {
  const width = BigInt(first.length * 8);
  const shifted = timesPowerOfX(toBigInt(first), secondBytes, polynomialOf[name], width);
  const joined = shifted ^ toBigInt(second);
  return Buffer.from(joined.toString(16).padStart(first.length * 2, '0'), 'hex');
}

function toBigInt(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

/** `crc` followed by `bytes` zero bytes: its product with x^(8 * bytes) modulo the polynomial. */
function timesPowerOfX(crc: bigint, bytes: number, polynomial: bigint, width: bigint): bigint {
  let result = crc;
  // x^8: in reflected form the highest bit is x^0.
  let power = 1n << (width - 9n);
  for (let left = BigInt(bytes); left > 0n; left >>= 1n) {
    if (left & 1n) result = multiply(result, power, polynomial, width);
    power = multiply(power, power, polynomial, width);
  }
  return result;
}

function multiply(a: bigint, b: bigint, polynomial: bigint, width: bigint): bigint {
  let product = 0n;
  let shifted = b;
  for (let bit = width - 1n; bit >= 0n; bit -= 1n) {
    if ((a >> bit) & 1n) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ polynomial : shifted >> 1n;
  }
  return product;
}
