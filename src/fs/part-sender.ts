/**
 * Sends parts of content, all uploads of a mount within one budget of memory. The memory of bodies
 * is used again, so that sending a gigabyte does not mean to get a gigabyte from the system.
 */
import { type Extent, MiB } from '../lib/bytes.ts';
import type { UploadedPart } from '../store/object-store.ts';
import { ByteBudget } from './locks.ts';
import type { PartUpload } from './part-upload.ts';

/** Content that is sent; what is asked for must not change meanwhile, or be sent again. */
export interface PartSource {
  /** Fills `into` with the content from `offset` on. */
  fill(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** Memory of all uploads together, four usual parts, and how many requests may share it. */
const UPLOAD_BYTES = 32 * MiB;
const MAX_UPLOADS = 32;
/** Bodies of that length are kept for the next part, so many of them. */
const SPARE_BYTES = 8 * MiB;
const MOST_SPARE = 4;
/** So many also while nothing is sent: a slow writer's parts come one by one. */
const LEAST_SPARE = 2;

export class PartSender {
  readonly #budget = new ByteBudget(UPLOAD_BYTES, MAX_UPLOADS);
  readonly #spare: Uint8Array[] = [];
  #sending = 0;

  /** Runs `work` with the bytes of `extent`, once there is memory for them. */
  async withBody<T>(
    source: PartSource,
    { start, end }: Extent,
    work: (body: Uint8Array) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const bytes = end - start;
    const send = async (): Promise<T> => {
      const memory = this.#take(bytes);
      const body = memory.subarray(0, bytes);
      await source.fill(start, body, signal);
      const result = await work(body);
      // Not after a failure: a connection that was given up may still be reading from it.
      if (memory.byteLength === SPARE_BYTES) this.#spare.push(memory);
      return result;
    };
    this.#sending += 1;
    try {
      return await this.#budget.run(bytes, send, signal);
    } finally {
      this.#sending -= 1;
      const most = Math.min(Math.max(this.#sending, LEAST_SPARE), MOST_SPARE);
      this.#spare.length = Math.min(this.#spare.length, most);
    }
  }

  async send(
    upload: PartUpload,
    number: number,
    source: PartSource,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<UploadedPart> {
    const send = async (body: Uint8Array): Promise<UploadedPart> =>
      await upload.send(number, body, signal);
    return await this.withBody(source, extent, send, signal);
  }

  /** Runs what needs no memory here, but counts as a request. */
  async request<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#budget.run(0, work, signal);
  }

  #take(bytes: number): Uint8Array {
    const isUsual = bytes <= SPARE_BYTES && bytes > SPARE_BYTES / 2;
    if (!isUsual) return Buffer.allocUnsafe(bytes);
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SPARE_BYTES);
  }
}
