/** Files that the disk cache holds whole, on a mount of root's: the kernel reads them itself. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KiB, MiB } from '../../src/lib/bytes.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

const LENGTHS = [200 * KiB, 500 * KiB, 3 * MiB];
const READS = 4;

describe.skipIf(!canMount || !isRoot)('what was written and stays on the disk', () => {
  it.each(['writes', 'full'])('can be read again and again with --cache %s', async (cache) => {
    await using scene = await Scene.open();
    await scene.login();
    const mountPoint = scene.place('bucket');
    const place = ['--cache', cache, '--cache-dir', scene.place('cache')];
    await scene.mount(`s3://${scene.playground.bucket}`, mountPoint, ...place);
    for (const [nth, bytes] of LENGTHS.entries()) {
      const path = join(mountPoint, `f${nth}`);
      const content = Buffer.alloc(bytes, `${nth} `);
      await writeFile(path, content);
      for (let times = 0; times < READS; times += 1) {
        expect((await readFile(path)).equals(content)).toBe(true);
      }
    }
    await scene.user.wire(['unmount', mountPoint], scene.signal);
  });
});
