import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toErrno } from '../../../src/fs/errno.ts';
import type { RequestContext } from '../../../src/fs/filesystem.ts';
import { PathWalker, type WalkedHandle } from '../../../src/fuse/path-walker.ts';
import { MemoryFileSystem } from '../../fixtures/memory-filesystem.ts';

const context: RequestContext = { uid: 0, gid: 0, pid: 1, signal: new AbortController().signal };
const readWrite = {
  access: 'read-write',
  truncate: false,
  append: false,
  exclusive: false,
} as const;

type Node = Map<string, Node> | string;

/** The same operations on plain maps: directories are maps, files their content. */
class Model {
  readonly root = new Map<string, Node>();

  at(path: string): Node {
    let node: Node = this.root;
    for (const name of namesOf(path)) {
      if (typeof node === 'string') throw new Error('ENOTDIR');
      const next: Node | undefined = node.get(name);
      if (next === undefined) throw new Error('ENOENT');
      node = next;
    }
    return node;
  }

  parentOf(path: string): readonly [Map<string, Node>, string] {
    const names = namesOf(path);
    const last = names.pop();
    if (last === undefined) throw new Error('EBUSY');
    const parent = this.at(names.join('/'));
    if (typeof parent === 'string') throw new Error('ENOTDIR');
    return [parent, last];
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

interface Step {
  readonly kind: 'mkdir' | 'write' | 'unlink' | 'rmdir' | 'rename' | 'list' | 'read' | 'stat';
  readonly path: string;
  readonly other: string;
  readonly text: string;
}

const names = fc.constantFrom('a', 'b', 'ä');
const paths = fc.array(names, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'mkdir',
    'mkdir',
    'write',
    'unlink',
    'rmdir',
    'rename',
    'list',
    'read',
    'stat',
  ),
  path: paths,
  other: paths,
  text: fc.string({ maxLength: 8 }),
});

/** What a step does to the model; throws the name of the errno. */
function runModel(model: Model, { kind, path, other, text }: Step): unknown {
  switch (kind) {
    case 'mkdir': {
      const [parent, name] = model.parentOf(path);
      if (parent.has(name)) throw new Error('EEXIST');
      parent.set(name, new Map());
      return undefined;
    }
    case 'write': {
      const [parent, name] = model.parentOf(path);
      if (typeof parent.get(name) === 'object') throw new Error('EISDIR');
      parent.set(name, text);
      return undefined;
    }
    case 'unlink': {
      const [parent, name] = model.parentOf(path);
      const found = model.at(path);
      if (typeof found !== 'string') throw new Error('EISDIR');
      parent.delete(name);
      return undefined;
    }
    case 'rmdir': {
      const [parent, name] = model.parentOf(path);
      const found = model.at(path);
      if (typeof found === 'string') throw new Error('ENOTDIR');
      if (found.size > 0) throw new Error('ENOTEMPTY');
      parent.delete(name);
      return undefined;
    }
    case 'rename':
      renameModel(model, path, other);
      return undefined;
    case 'list': {
      const found = model.at(path);
      if (typeof found === 'string') throw new Error('ENOTDIR');
      return [...found.keys()].sort();
    }
    case 'read': {
      const found = model.at(path);
      if (typeof found !== 'string') throw new Error('EISDIR');
      return found;
    }
    case 'stat': {
      const found = model.at(path);
      return typeof found === 'string' ? ['file', Buffer.byteLength(found)] : ['directory', 0];
    }
  }
}

function renameModel(model: Model, path: string, other: string): void {
  const [from, name] = model.parentOf(path);
  const [to, newName] = model.parentOf(other);
  const node = model.at(path);
  const target = to.get(newName);
  if (target === node) return;
  if (target instanceof Map) {
    if (typeof node === 'string') throw new Error('EISDIR');
    if (target.size > 0) throw new Error('ENOTEMPTY');
  } else if (target !== undefined && typeof node !== 'string') {
    throw new Error('ENOTDIR');
  }
  from.delete(name);
  to.set(newName, node);
}

async function runWalker(walker: PathWalker, step: Step): Promise<unknown> {
  const { kind, path, other, text } = step;
  switch (kind) {
    case 'mkdir': {
      await walker.mkdir(path, 0o755, context);
      return;
    }
    case 'write': {
      const truncating = { ...readWrite, truncate: true };
      const file = await walker.create(path, 0o644, truncating, context);
      await walker.write(file, 0, Buffer.from(text), context);
      await walker.flush(file, context);
      await walker.release(file, context);
      return;
    }
    case 'unlink': {
      await walker.unlink(path, context);
      return;
    }
    case 'rmdir': {
      await walker.rmdir(path, context);
      return;
    }
    case 'rename': {
      await walker.rename(path, other, context);
      return;
    }
    case 'list':
      return (await walker.list(path, context)).map((name) => Buffer.from(name).toString()).sort();
    case 'read': {
      const file = await walker.open(path, readWrite, context);
      try {
        return await readAll(walker, file);
      } finally {
        await walker.release(file, context);
      }
    }
    case 'stat': {
      const { type, bytes } = await walker.getattr(path, context);
      return [type, bytes];
    }
  }
}

async function readAll(walker: PathWalker, file: WalkedHandle): Promise<string> {
  const content = await walker.read(file, 0, 1000, context);
  return Buffer.concat(content instanceof Uint8Array ? [content] : content).toString();
}

/** The kernel refuses a move of the root, or of a directory into itself, before anybody sees it. */
function neverAsked({ kind, path, other }: Step): boolean {
  const intoItself = `${other}/`.startsWith(`${path}/`) && path !== other;
  return kind === 'rename' && (intoItself || path === '/' || other === '/');
}

/** Which of its two paths is found wanting first is nobody's promise. */
function told({ kind }: Step, outcome: unknown): unknown {
  return kind === 'rename' && outcome === 'ENOTDIR' ? 'ENOENT' : outcome;
}

describe('the path walker', () => {
  it('answers as a tree of plain maps does, and gives every reference back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 60, size: 'max' }), async (history) => {
        const files = new MemoryFileSystem();
        const walker = new PathWalker(files);
        const model = new Model();
        for (const step of history.filter((candidate) => !neverAsked(candidate))) {
          const actual = await runWalker(walker, step).catch((error: unknown) => toErrno(error));
          let expected: unknown;
          try {
            expected = runModel(model, step);
          } catch (error) {
            expected = (error as Error).message;
          }
          expect({ step, outcome: told(step, actual) }).toEqual({
            step,
            outcome: told(step, expected),
          });
          expect({ step, lookups: files.lookups, handles: files.openHandles }).toEqual({
            step,
            lookups: 0,
            handles: 0,
          });
        }
      }),
      { numRuns: 200 },
    );
  });

  it('keeps an open file usable without its name, and forgets it when it is released', async () => {
    const files = new MemoryFileSystem();
    const walker = new PathWalker(files);
    const file = await walker.create('/a', 0o644, readWrite, context);
    await walker.write(file, 0, Buffer.from('kept'), context);
    await walker.unlink('/a', context);
    expect(await readAll(walker, file)).toBe('kept');
    expect((await walker.getattrOf(file, context)).bytes).toBe(4);
    await walker.release(file, context);
    expect({ known: files.knownInodes, lookups: files.lookups }).toEqual({ known: 0, lookups: 0 });
  });

  it('lists a directory whole, however few names it is told at a time', async () => {
    class Slow extends MemoryFileSystem {
      override readdir(...[handle, cookie, fill]: Parameters<MemoryFileSystem['readdir']>): void {
        let room = 2;
        super.readdir(handle, cookie, (dirent) => room-- > 0 && fill(dirent));
      }
    }
    const files = new Slow();
    files.addDirectory('d', 25);
    const names = await new PathWalker(files).list('/d', context);
    expect(names).toHaveLength(25);
    expect(await new PathWalker(files).list('/', context)).toHaveLength(1);
  });

  it('says what a file system without symbolic links says', async () => {
    const walker = new PathWalker(new MemoryFileSystem());
    const file = await walker.create('/a', 0o644, readWrite, context);
    await walker.release(file, context);
    const errnoOf = async (work: Promise<unknown>): Promise<unknown> =>
      await work.catch((error: unknown) => toErrno(error));
    // Whether the memory file system has links is its own business; the root is nobody's to change.
    expect(await errnoOf(walker.rmdir('/', context))).toBe('EBUSY');
    expect(await errnoOf(walker.readlink('/a', context))).toBe('EINVAL');
  });
});
