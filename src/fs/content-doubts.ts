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

export interface Doubt extends SentContent {
  /**
   * How many changes the content had seen; 'other': it is no state that this content went through,
   * so nothing of it is as in a base that the two may have in common.
   */
  readonly changes: number | 'other';
}

export class ContentDoubts {
  #doubts: readonly Doubt[] = [];

  get some(): boolean {
    return this.#doubts.length > 0;
  }

  get all(): readonly Doubt[] {
    return this.#doubts;
  }

  add({ bytes, etag }: SentContent, changes: Doubt['changes']): void {
    // Tried again and again it is one doubt still.
    const others = this.#doubts.filter((doubt) => !isSameSent(doubt, { bytes, etag }));
    this.#doubts = [...others, { bytes, etag, changes }];
  }

  /** `Doubt.changes` of what was sent, and is `version` now. */
  sentAs({ bytes, etag }: ObjectVersion): Doubt['changes'] | undefined {
    const same = (sent: Doubt): boolean =>
      sent.bytes === bytes && sent.etag !== undefined && isSameEtag(sent.etag, etag);
    return this.#doubts.findLast(same)?.changes;
  }

  clear(): void {
    this.#doubts = [];
  }
}

export function isSameSent(one: SentContent, other: SentContent): boolean {
  return one.bytes === other.bytes && one.etag === other.etag;
}

/** Content that is sent in one request: S3's ETag of it, unless it is encrypted with a key of KMS. */
export function sentInOne(body: Uint8Array): SentContent {
  return { bytes: body.length, etag: `"${createHash('md5').update(body).digest('hex')}"` };
}
