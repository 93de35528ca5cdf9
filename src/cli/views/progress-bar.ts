/** How far long work is, at a glance: `[########------------]`. Pure; for a terminal alone. */
import type { FileProgress } from '../../daemon/mount-parts.ts';
import { formatBytes } from '../../lib/bytes.ts';

const CELLS = 20;

/** @param done of `total`, in whatever unit; all of nothing is done. */
export function progressBar(done: number, total: number): string {
  const share = total <= 0 ? 1 : Math.min(Math.max(done / total, 0), 1);
  // Full only when it is done.
  const full = Math.floor(share * CELLS);
  return `[${'#'.repeat(full)}${'-'.repeat(CELLS - full)}]`;
}

/** A line for work on files of which all is known: `[####…] warm: 1.0 MiB of 4.0 MiB (25 %), 3 files`. */
export function filesLine(word: string, { bytes, totalBytes, files }: FileProgress): string {
  const share = totalBytes === 0 ? 0 : Math.floor((bytes / totalBytes) * 100);
  const bar = progressBar(bytes, totalBytes);
  return `${bar} ${word}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)} (${share} %), ${countFiles(files)}`;
}

export function countFiles(count: number): string {
  return count === 1 ? '1 file' : `${count} files`;
}

/** A bar for work of which is known only what is left: its whole is the most that ever was. */
export class Remaining {
  #most = 0;

  bar(left: number): string {
    this.#most = Math.max(this.#most, left);
    return progressBar(this.#most - left, this.#most);
  }
}
