import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.ts';
import { Endpoint } from '../../../src/cache/endpoint.ts';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import { KiB, MiB } from '../../../src/lib/bytes.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryBlockDisk } from '../../fixtures/memory-block-disk.ts';
import { patternBytes } from '../../fixtures/object-store-contract.ts';
import { FileTree } from './file-tree.ts';

/** A mount that keeps on `disk` what is written, and what is read. */
async function treeOn(disk: MemoryBlockDisk): Promise<FileTree> {
  const clock = new FakeClock();
  const blocks = new BlockCache({ budget: new MemoryBudget(8 * MiB), clock });
  const endpoint = new Endpoint('https://s3.example');
  return await FileTree.make({ clock, reading: { blocks, endpoint, disk, keptWrites: disk } });
}

describe('what was written', () => {
  it('is read back from the disk cache, where writes are kept', async () => {
    for (const bytes of [0, 1, 128 * KiB, 128 * KiB + 1, 3 * MiB + 77]) {
      await using tree = await treeOn(new MemoryBlockDisk());
      const content = patternBytes(bytes);
      await tree.write('f', content);
      const handle = await tree.open('f');
      const read = await tree.readHandle(handle);
      await tree.close(handle);
      expect(read.equals(content)).toBe(true);
      expect(tree.store.calls.read).toBe(0);
    }
  });

  it('is asked of the store where the disk could not keep it', async () => {
    await using tree = await treeOn(new MemoryBlockDisk({ full: () => true }));
    await tree.write('f', 'text');
    expect(await tree.read('f')).toBe('text');
    expect(tree.store.calls.read).toBe(1);
  });

  it('and removed while it was open is not kept', async () => {
    const disk = new MemoryBlockDisk();
    await using tree = await treeOn(disk);
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'text');
    await tree.unlink('f');
    await tree.close(handle);
    expect(disk.writes).toEqual([]);
  });
});
