import { afterEach, describe, expect, it, vi } from 'vitest';
import { FsError } from '../../../src/fs/errno.ts';
import type { RequestContext } from '../../../src/fs/filesystem.ts';
import { pathOperations } from '../../../src/fuse/fuse-native/path-operations.ts';
import { fuseNativeTransport } from '../../../src/fuse/fuse-native/transport.ts';
import { PathWalker } from '../../../src/fuse/path-walker.ts';
import { MemoryFileSystem } from '../../fixtures/memory-filesystem.ts';

const context: RequestContext = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal };

/** Calls an operation as the package does, and resolves to its only answer. */
function caller(walker: Promise<PathWalker>) {
  const failures: string[] = [];
  const table = pathOperations({ walker, context, failed: (name) => void failures.push(name) });
  const call = async (name: string, ...args: readonly unknown[]): Promise<readonly unknown[]> =>
    await new Promise((resolve, reject) => {
      let answered = false;
      const reply = (...answer: readonly unknown[]): void => {
        if (answered) reject(new Error(`${name} was answered twice`));
        answered = true;
        resolve(answer);
      };
      const operation = table[name] as ((...all: readonly unknown[]) => void) | undefined;
      if (operation === undefined) reject(new Error(`there is no ${name}`));
      operation?.(...args, reply);
    });
  return { call, failures };
}

afterEach(() => {
  vi.doUnmock('fuse-native');
});

describe('the operations of fuse-native', () => {
  it('write, read, list and tell, with codes and counts as the package wants them', async () => {
    const files = new MemoryFileSystem({ now: () => 1_700_000_000_123 });
    const { call, failures } = caller(Promise.resolve(new PathWalker(files)));
    const [, file] = await call('create', '/ä', 0o100640);
    expect(await call('write', '/ä', file, Buffer.from('hello'), 5, 0)).toEqual([5, undefined]);
    const into = Buffer.alloc(16);
    expect(await call('read', '/ä', file, into, 16, 1)).toEqual([4, undefined]);
    expect(into.toString('utf8', 0, 4)).toBe('ello');
    expect(await call('flush', '/ä', file)).toEqual([0, undefined]);
    expect(await call('release', '/ä', file)).toEqual([0, undefined]);
    expect(await call('fgetattr', '/ä', file)).toEqual([-9, undefined]);
    expect(await call('readdir', '/')).toEqual([0, ['.', '..', 'ä']]);
    expect(await call('getattr', '/ä')).toMatchObject([
      0,
      { mode: 0o100640, size: 5, mtime: 1_700_000_000_123 },
    ]);
    expect(await call('truncate', '/ä', 2)).toEqual([0, undefined]);
    expect(await call('chown', '/ä', -1, 7)).toEqual([0, undefined]);
    expect(await call('getattr', '/ä')).toMatchObject([0, { size: 2, uid: 0, gid: 7 }]);
    expect({ handles: files.openHandles, lookups: files.lookups, failures }).toEqual({
      handles: 0,
      lookups: 0,
      failures: [],
    });
  });

  it('answer with negative errnos, and log only what is nobody else to see', async () => {
    const files = new MemoryFileSystem();
    const { call, failures } = caller(Promise.resolve(new PathWalker(files)));
    expect((await call('getattr', '/none'))[0]).toBe(-2);
    expect((await call('read', '/none', 99, Buffer.alloc(1), 1, 0))[0]).toBe(-9);
    expect((await call('rmdir', '/'))[0]).toBe(-16);
    files.statfs = () => {
      throw new TypeError('defect');
    };
    expect((await call('statfs', '/'))[0]).toBe(-5);
    expect(failures).toEqual(['statfs']);
  });

  it('wait until they are served, and get EIO when that never comes', async () => {
    let serve: ((walker: PathWalker) => void) | undefined;
    const served = caller(new Promise((resolve) => (serve = resolve)));
    const waiting = served.call('readdir', '/');
    serve?.(new PathWalker(new MemoryFileSystem()));
    expect(await waiting).toEqual([0, ['.', '..']]);
    const never = Promise.reject<PathWalker>(new FsError('EIO', 'serve'));
    expect((await caller(never).call('readdir', '/'))[0]).toBe(-5);
  });
});

describe('the fuse-native transport', () => {
  it('says what to install where the package or its libfuse does not load', async () => {
    vi.doMock('fuse-native', () => {
      throw new Error('libfuse.so.2: cannot open shared object file');
    });
    const options = { mountPoint: '/none', readOnly: false, allowOther: false, fsName: 'memory' };
    const { signal } = new AbortController();
    await expect(fuseNativeTransport.attach(options, signal)).rejects.toMatchObject({
      kind: 'no-fuse',
      facts: {
        tried: 'load fuse-native',
        next: expect.stringContaining('apt-get install libfuse2') as string,
      },
    });
  });
});
