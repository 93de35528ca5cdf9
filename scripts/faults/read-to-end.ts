/** Reading as cat(1) does: the end is where a read gives nothing. */
import { type FileHandle, open } from 'node:fs/promises';
import { MiB } from '../../src/lib/bytes.ts';

/**
 * All of the file at `path`. Node's own `readFile` takes a short read for the end, and a read is
 * short when an error comes behind the pages that are in memory (read(2)).
 */
export async function readToEnd(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    return await readRest(file);
  } finally {
    await file.close().catch(() => undefined); // of a mount that is gone
  }
}

/** From where `file` stands. */
export async function readRest(file: FileHandle): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MiB), 0, MiB);
    if (bytesRead === 0) return Buffer.concat(pieces);
    pieces.push(buffer.subarray(0, bytesRead));
  }
}
