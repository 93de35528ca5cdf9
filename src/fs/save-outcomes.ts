/** What a save asks of the store, and how its refusals are told. */
import { isAbort } from '../lib/abort.ts';
import { WireError } from '../lib/wire-error.ts';
import { StoreError } from '../store/errors.ts';
import type { ObjectVersion, Precondition } from '../store/object-store.ts';
import { FsError } from './errno.ts';

/** What must hold of the object that `base` is replaced in. */
export function preconditionOf(base: ObjectVersion | undefined): Precondition {
  return base === undefined ? { must: 'be-absent' } : { must: 'be', etag: base.etag };
}

/** Somebody else has made, changed or removed the object, or a directory above it. */
export function isConflict(error: unknown): boolean {
  // Of bytes that were to be sent on from the object that was there.
  if (error instanceof FsError) return error.errno === 'ESTALE';
  if (!(error instanceof StoreError)) return false;
  return ['exists', 'precondition-failed', 'not-found'].includes(error.kind);
}

/** Of bytes that a mount which died had not saved. */
export const diedUnsaved: WireError = new WireError('not-saved', {
  tried: 'save a file',
  answered: 'the mount ended before it could',
  next: 'look at the bytes that were kept',
});

export function notAllSaved(failed: number): WireError {
  return new WireError('not-saved', {
    tried: `save ${failed} ${failed === 1 ? 'file' : 'files'}`,
    answered: 'the store refused',
    next: 'see `wire status` for the reasons; the bytes stay in the staging folder',
  });
}

/** Whether the store may have done what failed: anything but a refusal leaves that open. */
export function hasNoAnswer(error: unknown): boolean {
  if (error instanceof StoreError) return ['unreachable', 'unavailable'].includes(error.kind);
  return isAbort(error);
}

/** The store has said that this login may not do it. */
export function isDenied(error: unknown): error is StoreError {
  return error instanceof StoreError && error.kind === 'access-denied';
}
