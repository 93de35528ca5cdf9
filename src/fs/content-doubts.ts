/** What was sent to the bucket without hearing that it arrived. */
import { createHash } from 'node:crypto';
import { isSameEtag } from '../store/etag.ts';
import type { ETag, ObjectVersion } from '../store/object-store.ts';

/** What a save has sent. */
export interface SentContent {
  readonly bytes: number;
  /** What S3 calls such content, where that can be told. */
  readonly etag: ETag | undefined;
}

interface Doubt extends SentContent {
  readonly changes: number;
}

export class ContentDoubts {
  #doubts: readonly Doubt[] = [];

  get some(): boolean {
    return this.#doubts.length > 0;
  }

  get all(): readonly SentContent[] {
    return this.#doubts;
  }

  /** @param changes how many changes the content had seen. */
  add(sent: SentContent, changes: number): void {
    this.#doubts = [...this.#doubts, { ...sent, changes }];
  }

  /** How many changes the content had seen that was sent, and is `version` now. */
  sentAs({ bytes, etag }: ObjectVersion): number | undefined {
    const same = (sent: Doubt): boolean =>
      sent.bytes === bytes && sent.etag !== undefined && isSameEtag(sent.etag, etag);
    return this.#doubts.findLast(same)?.changes;
  }

  clear(): void {
    this.#doubts = [];
  }
}

/** Content that is sent in one request: S3's ETag of it, unless it is encrypted with a key of KMS. */
export function sentInOne(body: Uint8Array): SentContent {
  return { bytes: body.length, etag: `"${createHash('md5').update(body).digest('hex')}"` };
}
