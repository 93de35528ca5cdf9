/** What is written down of content that is not in the bucket. */
import type { ObjectVersion } from '../store/object-store.ts';
import type { EncodedExtents } from './extents.ts';

/** What the disk file of an unsaved file lacks, or has too much of. */
export interface UnfinishedContent {
  readonly base: ObjectVersion | undefined;
  readonly bytes: number;
  readonly extents: EncodedExtents;
}

/** Content that is to be saved, for a journal: all but where it is to go. */
export interface ContentRecord extends UnfinishedContent {
  readonly exclusive: boolean;
  /** The local bytes: a file that has them where they belong, or all of them one after another. */
  readonly content: { readonly file: string } | { readonly inline: Uint8Array };
}
