/**
 * The files of an index's folder. Each life of a mount writes one of its own, named for it; the
 * next takes over what lives no more, and leaves alone what does, and files of any other name.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { makeFolders } from '../lib/make-folders.ts';
import { isDeadOwner, newOwnerName } from './staging-owner.ts';

const OWNED = /^life-[\w-]+\.index$/;
/** Left by a mount that ended in peace, whose process may live on. */
const LEFT = /^left-[\da-f]{12}\.index$/;
/** What is longer is not read. */
const MOST_BYTES = 256 * 1024 * 1024;

/** A path for a new file of this life. */
export function newIndexFile(folder: string): string {
  return path.join(folder, `${newOwnerName()}.index`);
}

/** Makes `folder`, and takes over the files of those who have ended, the oldest first. */
export async function takeIndexFiles(folder: string): Promise<readonly string[]> {
  await makeFolders(folder, 0o700);
  const taken: { readonly file: string; readonly changedMs: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!LEFT.test(name) && !(OWNED.test(name) && isDeadOwner(name))) continue;
    const file = newIndexFile(folder);
    try {
      // Of several who try only one succeeds.
      await rename(path.join(folder, name), file);
      taken.push({ file, changedMs: (await stat(file)).mtimeMs });
    } catch {
      continue;
    }
  }
  return taken.sort((a, b) => a.changedMs - b.changedMs).map(({ file }) => file);
}

/** The content of a file; empty when it cannot be used. */
export async function readIndexFile(file: string): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    return size > MOST_BYTES ? Buffer.alloc(0) : await readFile(file);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Leaves a file to whoever comes next. */
export async function leaveIndexFile(file: string): Promise<void> {
  const name = `left-${randomBytes(6).toString('hex')}.index`;
  await rename(file, path.join(path.dirname(file), name));
}

export async function removeIndexFiles(files: readonly string[]): Promise<void> {
  await Promise.all(files.map(async (file) => await rm(file, { force: true })));
}
