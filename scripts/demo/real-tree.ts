/** Real files to copy: whole packages of this checkout's own node_modules. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface RealTree {
  /** Folders, absolute. */
  readonly folders: readonly string[];
  readonly files: number;
  readonly bytes: number;
}

interface Size {
  readonly files: number;
  readonly bytes: number;
  /** Everything is a plain file or a folder. */
  readonly plain: boolean;
}

/** Takes packages, in order of name, until both minima are reached. */
export async function chooseRealTree(
  nodeModules: string,
  minFiles: number,
  minBytes: number,
): Promise<RealTree> {
  const folders: string[] = [];
  let files = 0;
  let bytes = 0;
  for (const name of (await readdir(nodeModules)).sort()) {
    if (files >= minFiles && bytes >= minBytes) break;
    if (name.startsWith('.')) continue;
    const folder = join(nodeModules, name);
    const size = await measure(folder);
    if (!size.plain) continue;
    folders.push(folder);
    files += size.files;
    bytes += size.bytes;
  }
  if (files < minFiles || bytes < minBytes) {
    throw new Error(`${nodeModules} holds only ${files} files and ${bytes} bytes; run npm ci`);
  }
  return { folders, files, bytes };
}

async function measure(path: string): Promise<Size> {
  const stat = await lstat(path);
  if (stat.isFile()) return { files: 1, bytes: stat.size, plain: true };
  if (!stat.isDirectory()) return { files: 0, bytes: 0, plain: false };
  let total: Size = { files: 0, bytes: 0, plain: true };
  for (const name of await readdir(path)) {
    const child = await measure(join(path, name));
    total = {
      files: total.files + child.files,
      bytes: total.bytes + child.bytes,
      plain: total.plain && child.plain,
    };
  }
  return total;
}
