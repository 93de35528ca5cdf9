/** Memory for bytes on their way: read into large pieces, given back when they have been sent. */
import { KiB, MiB } from '../src/lib/bytes.ts';

const SLAB_BYTES = MiB;
/** Less room than this is not worth a read. */
const LEAST_ROOM_BYTES = 256 * KiB;

class Slab {
  readonly memory: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  used = 0;
  /** Pieces of it that are on their way. */
  pieces = 0;
}

/** Slabs that nobody uses. */
export class SlabPool {
  readonly #free: Slab[] = [];

  take(): Slab {
    return this.#free.pop() ?? new Slab();
  }

  give(slab: Slab): void {
    slab.used = 0;
    this.#free.push(slab);
  }
}

/** Where one socket reads into. */
export class SlabReader {
  readonly #pool: SlabPool;
  #slab: Slab;

  constructor(pool: SlabPool) {
    this.#pool = pool;
    this.#slab = pool.take();
  }

  /** For the next read; good until `took`. */
  room(): Buffer {
    if (SLAB_BYTES - this.#slab.used < LEAST_ROOM_BYTES) {
      const full = this.#slab;
      this.#slab = this.#pool.take();
      // All of it may have been sent already.
      if (full.pieces === 0) this.#pool.give(full);
    }
    return this.#slab.memory.subarray(this.#slab.used);
  }

  /** The bytes of the last read, and how to give their memory back. */
  took(bytes: number): { readonly piece: Buffer; readonly release: () => void } {
    const slab = this.#slab;
    const piece = slab.memory.subarray(slab.used, slab.used + bytes);
    slab.used += bytes;
    slab.pieces += 1;
    const release = (): void => {
      slab.pieces -= 1;
      if (slab.pieces === 0 && slab !== this.#slab) this.#pool.give(slab);
    };
    return { piece, release };
  }
}
