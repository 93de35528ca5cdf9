/**
 * Beside a staged file that is unsaved and does not hold all of its content: a note of what it
 * lacks, so that after a crash the rest can be fetched, or at least be told.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { ObjectVersion } from '../store/object-store.ts';
import type { UnfinishedContent } from './content-record.ts';
import { ExtentMap } from './extents.ts';

/** Where the object is that has what the staged file lacks, and what that is. */
export interface LackNote extends UnfinishedContent {
  readonly bucket: string;
  readonly key: string;
}

/** Writes `note` to `file`, whole or not at all; undefined: takes it away. */
export async function writeLackNote(file: string, note: LackNote | undefined): Promise<void> {
  if (note === undefined) {
    await rm(file, { force: true });
    return;
  }
  await writeFile(`${file}.new`, JSON.stringify(note), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Undefined when there is none, or none that could be read. */
export async function readLackNote(file: string): Promise<LackNote | undefined> {
  try {
    const note = JSON.parse(await readFile(file, 'utf8')) as LackNote;
    ExtentMap.decode(note.extents, note.bytes);
    return isVersion(note.base) && isText(note.bucket) && isText(note.key) ? note : undefined;
  } catch {
    return undefined;
  }
}

function isVersion(version: ObjectVersion | undefined): boolean {
  return version === undefined || (isText(version.etag) && Number.isSafeInteger(version.bytes));
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
