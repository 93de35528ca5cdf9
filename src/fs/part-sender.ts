/** Sends parts of content: few requests at a time, within the memory that uploads may use. */
import type { Extent } from '../lib/bytes.ts';
import type { UploadedPart } from '../store/object-store.ts';
import type { BodyPool } from './body-pool.ts';
import { ByteBudget } from './locks.ts';
import type { PartUpload } from './part-upload.ts';

/** Content that is sent; what is asked for must not change meanwhile, or be sent again. */
export interface PartSource {
  /** Fills `into` with the content from `offset` on. */
  fill(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** Requests of a mount at a time. */
const MAX_REQUESTS = 32;

export class PartSender {
  readonly #bodies: BodyPool;
  readonly #requests = new ByteBudget(MAX_REQUESTS, MAX_REQUESTS);

  constructor(bodies: BodyPool) {
    this.#bodies = bodies;
  }

  /** Runs `work` with the bytes of `extent`, once there is memory for them. */
  async withBody<T>(
    source: PartSource,
    { start, end }: Extent,
    work: (body: Uint8Array) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const bytes = end - start;
    const send = async (memory: Uint8Array): Promise<T> => {
      const body = memory.subarray(0, bytes);
      await source.fill(start, body, signal);
      return await work(body);
    };
    return await this.request(async () => await this.#bodies.run(bytes, send, signal), signal);
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

  /** Runs what counts as a request, and needs no memory here. */
  async request<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#requests.run(1, work, signal);
  }
}
