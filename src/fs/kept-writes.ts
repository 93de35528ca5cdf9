/** Content that was written here goes to the disk cache, so that reading it back asks for nothing. */
import type { BlockDisk } from '../cache/block-disk.ts';
import { BLOCK_BYTES } from '../cache/slots.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { Place } from './directory-source.ts';

/** What is read of the local file at once. */
const STEP_BLOCKS = 8;

/** Local content, as it was saved. */
export interface WrittenContent {
  read(offset: number, length: number): Promise<Uint8Array>;
}

export class KeptWrites {
  readonly #disk: BlockDisk;
  readonly #endpoint: string;

  /** @param endpoint the server's name, as blocks are kept under it. */
  constructor(disk: BlockDisk, endpoint: string) {
    this.#disk = disk;
    this.#endpoint = endpoint;
  }

  /** Keeps all of `content`, which is what `version` at `place` holds. What fails is not kept. */
  async keep(
    { store, key }: Place,
    { etag, bytes }: ObjectVersion,
    content: WrittenContent,
    signal: AbortSignal,
  ): Promise<void> {
    const identity = { endpoint: this.#endpoint, bucket: store.bucket, key, etag, bytes };
    await using object = await this.#disk.open(identity, signal);
    const blocks = Math.ceil(bytes / BLOCK_BYTES);
    for (let first = 0; first < blocks && !signal.aborted; first += STEP_BLOCKS) {
      const start = first * BLOCK_BYTES;
      const length = Math.min(STEP_BLOCKS * BLOCK_BYTES, bytes - start);
      const step = await content.read(start, length);
      if (step.byteLength !== length) return;
      await object.write(first, blocksOf(step));
    }
  }
}

function blocksOf(step: Uint8Array): readonly Uint8Array[] {
  const count = Math.ceil(step.byteLength / BLOCK_BYTES);
  return Array.from({ length: count }, (_, at) =>
    step.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES),
  );
}
