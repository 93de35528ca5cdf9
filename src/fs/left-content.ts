/** Content that an earlier life has accepted, as a file for a person. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { MOST_INLINE_BYTES, type NotedIntent, type SaveIntent } from './journal/intents.ts';

/** Bytes copied at once. */
const COPY_BYTES = 1024 * 1024;

/**
 * Writes the content of `intent` to the new file `target`; `folder` is where it is, unless it is
 * inline. Returns how many bytes only the object has: there the file has zeros.
 */
export async function writeLeftContent(
  target: string,
  noted: NotedIntent,
  intent: SaveIntent,
  folder: string,
): Promise<number> {
  const file = await open(target, 'wx', 0o600);
  try {
    await file.truncate(intent.bytes);
    if (intent.content === 'inline') await writeInline(file, intent, await noted.content());
    else await copyExtents(file, intent, join(folder, intent.content.file));
    await file.sync();
  } finally {
    await file.close();
  }
  return bytesFrom(intent, 'base');
}

/** All of `noted`; undefined where that is long, in a file, or in part only in the object. */
export async function wholeContent(noted: NotedIntent): Promise<Uint8Array | undefined> {
  const { intent } = noted;
  if (intent.kind !== 'save' || intent.content !== 'inline') return undefined;
  if (intent.bytes > MOST_INLINE_BYTES || bytesFrom(intent, 'base') > 0) return undefined;
  const content = await noted.content();
  const whole = new Uint8Array(intent.bytes);
  let at = 0;
  for (const [start, end] of intent.extents) {
    whole.set(content.subarray(at, at + end - start), start);
    at += end - start;
  }
  return whole;
}

/** How many bytes of `intent` are here, or only in the object. */
export function bytesFrom({ extents }: SaveIntent, from: 'local' | 'base'): number {
  return extents.reduce((sum, [start, end, each]) => sum + (each === from ? end - start : 0), 0);
}

async function writeInline(
  file: FileHandle,
  { extents }: SaveIntent,
  content: Uint8Array,
): Promise<void> {
  let at = 0;
  for (const [start, end, from] of extents) {
    if (from !== 'local') continue;
    await writeAll(file, content.subarray(at, at + end - start), start);
    at += end - start;
  }
}

async function copyExtents(
  file: FileHandle,
  { extents }: SaveIntent,
  source: string,
): Promise<void> {
  for (const [start, end, from] of extents) {
    if (from !== 'local' || start === end) continue;
    let at = start;
    const pieces = createReadStream(source, { start, end: end - 1, highWaterMark: COPY_BYTES });
    for await (const piece of pieces as AsyncIterable<Buffer>) {
      await writeAll(file, piece, at);
      at += piece.length;
    }
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const left = bytes.byteLength - done;
    done += (await file.write(bytes, done, left, position + done)).bytesWritten;
  }
}
