/** CRC-32C (RFC 3720 §12.1, Castagnoli), eight bytes at a step. */

const POLYNOMIAL = 0x82f63b78;

/** Table k holds the CRC of each byte with k zero bytes behind it. */
const tables: readonly Int32Array[] = makeTables();

function makeTables(): readonly Int32Array[] {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    first[byte] = crc;
  }
  const all = [first];
  for (let table = 1; table < 8; table += 1) {
    const before = all[table - 1] ?? first;
    all.push(before.map((crc) => (crc >>> 8) ^ (first[crc & 255] ?? 0)));
  }
  return all;
}

/** The CRC of the bytes that gave `before` and of `bytes` behind them. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as readonly [...Eight];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const steps = bytes.byteLength - (bytes.byteLength % 8);
  let crc = ~before;
  for (let at = 0; at < steps; at += 8) {
    const low = view.getInt32(at, true) ^ crc;
    const high = view.getInt32(at + 4, true);
    crc =
      of(t7, low) ^
      of(t6, low >>> 8) ^
      of(t5, low >>> 16) ^
      of(t4, low >>> 24) ^
      of(t3, high) ^
      of(t2, high >>> 8) ^
      of(t1, high >>> 16) ^
      of(t0, high >>> 24);
  }
  for (let at = steps; at < bytes.byteLength; at += 1) {
    crc = (crc >>> 8) ^ of(t0, crc ^ (bytes[at] ?? 0));
  }
  return ~crc >>> 0;
}

type Eight = [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

function of(table: Int32Array, word: number): number {
  return table[word & 255] ?? 0;
}
