/** `writer-process.js`: writers in a process that outlives the daemon, and tells what it knows. */
import { getSystemErrorName } from 'node:util';
import { serveParent } from '../../bench/child-program.ts';
import { Random } from '../../test/fixtures/random.ts';
import type { Truth } from './truth.ts';
import { isDead, Writer } from './writer.ts';

export interface WriteOrder {
  /** Holds a folder `w0`… for each writer, and `shared`. */
  readonly root: string;
  readonly writers: number;
  readonly seed: number;
}

export interface WriteReport {
  readonly truths: readonly Truth[];
  readonly acknowledged: number;
  readonly bytes: number;
  /** What a writer was told while the daemon was well. */
  readonly refused: readonly string[];
}

/** Until the file system under it is gone, or refuses what it must do. */
async function writeOn(writer: Writer): Promise<string | undefined> {
  for (;;) {
    try {
      await writer.step();
    } catch (error) {
      if (isDead(error)) return undefined;
      return `${writer.doing}: ${nameOf(error)}`;
    }
  }
}

/** Node knows no name for some errnos in the message. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? error.message : `${getSystemErrorName(errno)} (${error.message})`;
}

await serveParent('ready', {
  async write({ root, writers, seed }: WriteOrder): Promise<WriteReport> {
    const all = Array.from(
      { length: writers },
      (_, nth) => new Writer(root, nth, new Random(seed * 31 + nth)),
    );
    const refused = await Promise.all(all.map(writeOn));
    return {
      truths: all.map(({ truth }) => truth),
      acknowledged: all.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      refused: refused.filter((why) => why !== undefined),
    };
  },
});
