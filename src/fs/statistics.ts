import { PiB } from '../lib/bytes.ts';
import type { FileSystemStatistics } from './filesystem.ts';

/** A store has no limits worth telling; programs only look whether there is room: 1 PiB. */
const USUAL_CAPACITY_BYTES = PiB;

const BLOCK_BYTES = 4096;
const FILES = 2 ** 32;

/** What statfs(2) says: what waits to be saved is in use, as far as anybody knows. */
export function statisticsOf(
  capacityBytes: number = USUAL_CAPACITY_BYTES,
  unsavedBytes = 0,
): FileSystemStatistics {
  const blocks = Math.floor(capacityBytes / BLOCK_BYTES);
  const used = Math.min(Math.ceil(unsavedBytes / BLOCK_BYTES), blocks);
  return {
    blockBytes: BLOCK_BYTES,
    blocks,
    freeBlocks: blocks - used,
    files: FILES,
    freeFiles: FILES,
    nameBytes: 255,
  };
}
