import { describe, expect, it } from 'vitest';
import { Directory } from '../../../src/fs/directory.ts';
import { BucketsSource } from '../../../src/fs/directory-source.ts';
import type { InodeNumber } from '../../../src/fs/ids.ts';
import { DirectoryNode } from '../../../src/fs/nodes.ts';
import { TreeLock } from '../../../src/fs/tree-lock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { MemoryObjectStores } from '../../fixtures/memory-object-store.ts';

const clock = new FakeClock();
const never = new AbortController().signal;

function directory(parent: DirectoryNode | undefined, name: string): DirectoryNode {
  const source = new BucketsSource(new MemoryObjectStores({ clock, buckets: [] }));
  return new DirectoryNode(1 as InodeNumber, parent, name, {
    top: undefined,
    changedMs: 0,
    directory: () => new Directory(source, { clock, listTtlMs: 0, log: silentLog }),
  });
}

/** Work that runs until it is told to end, and notes when it begins. */
class Work {
  readonly #log: string[];
  readonly #name: string;
  end = (): void => undefined;

  constructor(name: string, log: string[]) {
    this.#name = name;
    this.#log = log;
  }

  readonly run = async (): Promise<void> => {
    this.#log.push(this.#name);
    await new Promise<void>((resolve) => {
      this.end = resolve;
    });
  };
}

async function settled(): Promise<void> {
  await clock.advance(1);
}

describe('TreeLock', () => {
  it('keeps changes below a directory and its moving apart, in order of arrival', async () => {
    const lock = new TreeLock();
    const [root, begun] = [directory(undefined, ''), [] as string[]];
    const [a, b] = [directory(root, 'a'), directory(root, 'b')];
    const below = directory(a, 'below');
    const [save, move, late, beside] = ['save', 'move', 'late', 'beside'].map(
      (name) => new Work(name, begun),
    ) as [Work, Work, Work, Work];
    const all = [
      lock.run({ stay: [below] }, save.run, never),
      lock.run({ stay: [root], move: [a] }, move.run, never),
      lock.run({ stay: [a] }, late.run, never),
      lock.run({ stay: [b] }, beside.run, never),
    ];
    await settled();
    expect(begun).toEqual(['save', 'beside']);
    save.end();
    await settled();
    expect(begun).toEqual(['save', 'beside', 'move']);
    move.end();
    await settled();
    expect(begun).toEqual(['save', 'beside', 'move', 'late']);
    late.end();
    beside.end();
    await Promise.all(all);
  });

  it('waits for what moves the place to which it has been moved', async () => {
    const lock = new TreeLock();
    const [root, begun] = [directory(undefined, ''), [] as string[]];
    const [a, b] = [directory(root, 'a'), directory(root, 'b')];
    const [into, next, save] = ['into', 'next', 'save'].map((name) => new Work(name, begun)) as [
      Work,
      Work,
      Work,
    ];
    const all = [
      lock.run({ stay: [root, a], move: [b] }, into.run, never),
      lock.run({ stay: [root], move: [a] }, next.run, never),
      lock.run({ stay: [b] }, save.run, never),
    ];
    await settled();
    expect(begun).toEqual(['into']);
    b.parent = a;
    into.end();
    await settled();
    expect(begun).toEqual(['into', 'next']);
    next.end();
    await settled();
    expect(begun).toEqual(['into', 'next', 'save']);
    save.end();
    await Promise.all(all);
  });

  it('lets go of a turn that nobody waits for any more', async () => {
    const lock = new TreeLock();
    const [a, begun] = [directory(undefined, 'a'), [] as string[]];
    const [move, save] = [new Work('move', begun), new Work('save', begun)];
    const moved = lock.run({ stay: [], move: [a] }, move.run, never);
    const end = new AbortController();
    const gone = lock.run({ stay: [], move: [a] }, save.run, end.signal);
    end.abort();
    await expect(gone).rejects.toThrow('abort');
    move.end();
    await moved;
    await lock.run({ stay: [a] }, async () => await Promise.resolve(), never);
    expect(begun).toEqual(['move']);
  });
});
