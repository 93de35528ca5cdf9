/** What the suite `write` writes from: a local file, an archive of small ones, and the programs. */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../scripts/demo/programs.ts';
import { GiB } from '../../src/lib/bytes.ts';
import type { BenchScene } from '../mounted/scene.ts';
import { WritesProgram } from '../mounted/writes-program.ts';
import { uploadContents, writeContents } from '../stores/contents.ts';

export const BIG_BYTES: number = GiB;
/** There before; changed in place. */
export const PATCHED = 'patched';

/** As a tree of sources: each of the folders has as many files of about 1 KiB. */
const TREE_FILES_PER_FOLDER = 100;
export const TREE_BODY = 'int main(void) { return 0; }\n'.repeat(36);

export interface WriteScene {
  /** Of `BIG_BYTES`. */
  readonly local: string;
  /** An empty folder on the same disk as wire's own. */
  readonly localFolder: string;
  readonly writes: WritesProgram;
  /** An archive of so many small files. */
  archive(files: number, signal: AbortSignal): Promise<string>;
}

export async function prepareWrite(
  { store, user }: BenchScene,
  chosen: readonly { readonly name: string }[],
  signal: AbortSignal,
): Promise<WriteScene> {
  const isNeeded = (name: string): boolean => chosen.some((workload) => workload.name === name);
  const writes = await WritesProgram.compile(signal);
  const local = join(user.folder, 'local');
  const localFolder = join(user.folder, 'local-files');
  await mkdir(localFolder);
  if (isNeeded('seq-write') || isNeeded('patch-1-byte')) await writeContents(local, BIG_BYTES);
  if (isNeeded('patch-1-byte')) {
    const { client, bucket } = store;
    await uploadContents({ client, bucket, path: local, keys: [PATCHED] }, signal);
  }
  const archives = new Map<number, Promise<string>>();
  const archive = async (files: number, signal: AbortSignal): Promise<string> => {
    const made = archives.get(files) ?? makeArchive(user.folder, files, signal);
    archives.set(files, made);
    return await made;
  };
  return { local, localFolder, writes, archive };
}

/** Paths in the archive, below its folder. */
export function treePaths(files: number): string[] {
  return Array.from({ length: files }, (_, at) => {
    const folder = String(Math.floor(at / TREE_FILES_PER_FOLDER)).padStart(3, '0');
    return `d${folder}/f${at % TREE_FILES_PER_FOLDER}.c`;
  });
}

async function makeArchive(above: string, files: number, signal: AbortSignal): Promise<string> {
  const folder = join(above, `tree-${files}`);
  for (const path of treePaths(files)) {
    signal.throwIfAborted();
    if (path.endsWith('/f0.c')) await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), TREE_BODY);
  }
  const archive = `${folder}.tar`;
  await run('tar', ['-c', '-f', archive, '-C', folder, '.'], signal);
  const file = await open(archive);
  // Otherwise it is written out while something else is measured.
  await file.datasync().finally(async () => await file.close());
  return archive;
}
