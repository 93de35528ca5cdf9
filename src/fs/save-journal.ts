/**
 * The seam between the writer and write-back: who accepts content that the bucket gets later, and
 * what it is told. Without one every close waits for the bucket.
 */
import type { ObjectVersion } from '../store/object-store.ts';
import type { FileNode } from './nodes.ts';
import type { StagedFile } from './staged-file.ts';

/**
 * How content that was changed ended: `keptAt` is where its bytes were put aside; absent, nobody
 * wants them any more (its file was removed, or cut short by another change).
 */
export interface UnsavedEnd {
  readonly keptAt?: string;
}

/** All calls come with the node's lock held. None of them may ask for it. */
export interface SaveJournal {
  /**
   * A close asks for `node`'s content to be saved. True: it is written down (`StagedFile.record`),
   * and this journal sees to it that `Writer.save` is called later. False: it is saved at once.
   *
   * @throws what close(2) is to fail with.
   */
  accept(node: FileNode, staged: StagedFile, signal: AbortSignal): Promise<boolean>;
  /** Whether it was accepted and is still to be saved: then the last close leaves it where it is. */
  holds(node: FileNode): boolean;
  /** Whether it is written down, also when this journal saves nothing any more. */
  keeps(node: FileNode): boolean;
  /** What `node` has beyond `bytes` is about to be cut off, also of what was accepted. */
  shrinking(node: FileNode, bytes: number): Promise<void>;
  /** The bucket has all of `staged` as `version`. */
  saved(node: FileNode, staged: StagedFile, version: ObjectVersion): Promise<void>;
  /** A save failed in a way that may pass: the content is there still. */
  failed(node: FileNode, staged: StagedFile, error: unknown): void;
  /** The content is gone, unsaved. */
  ended(node: FileNode, staged: StagedFile, end: UnsavedEnd): Promise<void>;
}
