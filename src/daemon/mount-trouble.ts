/** What a person is told of a mount that cannot end, or ended with something that is in no bucket. */
import { dirname } from 'node:path';
import { WireError } from '../lib/wire-error.ts';
import type { FailedSave, MountedFileSystem } from './mount-parts.ts';

type SaveState = MountedFileSystem['state'];

/** Something is not in its bucket, and in the journal, for the next mount to save. */
export class LeftInJournal extends WireError {
  override readonly name = 'LeftInJournal';
}

/** `source` as it is written on a command line; `cause` made the mount give up saving. */
export function leftInJournal(
  mountPoint: string,
  source: string,
  { unsavedFiles: files, writeBack, failures }: SaveState,
  cause: unknown,
): LeftInJournal {
  const answer = cause instanceof WireError ? cause.facts.answered : String(cause);
  const many = files === 1 ? '1 file is' : `${files} files are`;
  const facts = {
    tried: `save all that was written to ${mountPoint}`,
    answered: writeBack?.trouble ?? failures.at(-1)?.message ?? answer,
    next: `${many} in the journal, for the next mount of ${source} to save; see: wire recover --list`,
  };
  return new LeftInJournal('not-saved', facts, { cause });
}

export function noMoreTime(mountPoint: string): WireError {
  const tried = `save what was written to ${mountPoint}`;
  return new WireError('not-saved', { tried, answered: 'there was no more time' });
}

export function notSaved(mountPoint: string, cause: unknown): WireError {
  const tried = `save what was written to ${mountPoint}`;
  return new WireError('not-saved', { tried, answered: String(cause) }, { cause });
}

/** `users` as `MountParts.usersOf` found them. */
export function inUse(mountPoint: string, users: readonly string[], cause: WireError): WireError {
  const who = users.length === 0 ? 'a program' : users.join(', ');
  return new WireError(
    'mount-point',
    {
      tried: `unmount ${mountPoint}`,
      answered: `it is in use by ${who}`,
      next: 'close its files or leave the folder and try again, or run: wire unmount --lazy',
    },
    { cause },
  );
}

/** The mount goes on for it. */
export function cannotSave(
  mountPoint: string,
  { unsavedFiles, failures }: SaveState,
  cause: WireError,
): WireError {
  const last = failures.at(-1);
  const reason = last === undefined ? cause.facts.answered : `${last.name}: ${last.message}`;
  return new WireError(
    'not-saved',
    {
      tried: `unmount ${mountPoint}`,
      answered: `${unsavedFiles} of its files cannot be saved (${reason})`,
      next: 'the mount goes on and holds the bytes; try again when the store takes them',
    },
    { cause },
  );
}

/** Says where the bytes are that did not reach the bucket: of `problem`, and of earlier failures. */
export function withPlace(
  mountPoint: string,
  { failures }: SaveState,
  problem: WireError | undefined,
): WireError | undefined {
  const kept = failures.filter(isKept);
  const last = kept.at(-1);
  if (last === undefined) return problem;
  const tried = `save all that was written to ${mountPoint}`;
  const reason = problem?.facts.answered ?? last.message;
  const facts =
    kept.length === 1
      ? { answered: `${last.name}: ${reason}`, next: `its bytes are kept in ${last.keptAt}` }
      : {
          answered: `${kept.map(({ name }) => name).join(', ')}: ${reason}`,
          next: `their bytes are kept in ${dirname(last.keptAt)}`,
        };
  return new WireError('not-saved', { tried, ...facts }, { cause: problem });
}

function isKept(failure: FailedSave): failure is FailedSave & { readonly keptAt: string } {
  return failure.keptAt !== undefined;
}
