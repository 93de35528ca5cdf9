/** The slots of one object version in memory, in pieces: what is not there takes no room. */

/** Slots in one piece; fewer for an object of fewer blocks. */
const MAX_PIECE_SLOTS = 1024;

export class SlotTable {
  readonly blocks: number;
  readonly #slotBytes: number;
  readonly #pieceSlots: number;
  readonly #pieces: (Uint8Array | undefined)[] = [];
  #present = 0;

  constructor(blocks: number, slotBytes: number) {
    this.blocks = blocks;
    this.#slotBytes = slotBytes;
    this.#pieceSlots = Math.min(MAX_PIECE_SLOTS, blocks);
  }

  /** Blocks that have a slot. */
  get present(): number {
    return this.#present;
  }

  has(index: number): boolean {
    return isFilled(this.#find(index));
  }

  /** A copy, that stays as it is; undefined when there is none. */
  get(index: number): Uint8Array | undefined {
    const slot = this.#find(index);
    return isFilled(slot) ? slot?.slice() : undefined;
  }

  /** `slot` all zero takes it away. */
  set(index: number, slot: Uint8Array): void {
    if (index < 0 || index >= this.blocks) return;
    const was = this.has(index);
    const number = Math.floor(index / this.#pieceSlots);
    const filled = isFilled(slot);
    if (!filled && this.#pieces[number] === undefined) return;
    const piece = (this.#pieces[number] ??= new Uint8Array(this.#pieceSlots * this.#slotBytes));
    piece.set(slot, (index % this.#pieceSlots) * this.#slotBytes);
    this.#present += Number(filled) - Number(was);
  }

  delete(index: number): void {
    this.set(index, new Uint8Array(this.#slotBytes));
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#present = 0;
  }

  #find(index: number): Uint8Array | undefined {
    const at = (index % this.#pieceSlots) * this.#slotBytes;
    return this.#pieces[Math.floor(index / this.#pieceSlots)]?.subarray(at, at + this.#slotBytes);
  }
}

function isFilled(slot: Uint8Array | undefined): boolean {
  if (slot === undefined) return false;
  for (const byte of slot) {
    if (byte !== 0) return true;
  }
  return false;
}

/** A set of numbers below a limit. */
export class BitSet {
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(limit: number) {
    this.#bits = new Uint8Array(Math.ceil(limit / 8));
  }

  get count(): number {
    return this.#count;
  }

  /** Memory it takes. */
  get bytes(): number {
    return this.#bits.byteLength;
  }

  has(index: number): boolean {
    return ((this.#bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  add(index: number): void {
    this.#write(index, true);
  }

  delete(index: number): void {
    this.#write(index, false);
  }

  #write(index: number, value: boolean): void {
    if (this.has(index) === value) return;
    this.#bits[index >> 3] = (this.#bits[index >> 3] ?? 0) ^ (1 << (index & 7));
    this.#count += value ? 1 : -1;
  }
}
