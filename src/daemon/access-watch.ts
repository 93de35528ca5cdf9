/** A file system whose operations are noted in an access log, each once it has its answer. */
import { toErrno } from '../fs/errno.ts';
import type { FileSystem, RequestContext } from '../fs/filesystem.ts';
import type { HandleId, InodeNumber } from '../fs/ids.ts';
import type { Clock } from '../lib/clock.ts';
import type { Access } from './access-log.ts';

/** Where inodes and handles are, from the root of the mount on. */
export interface Places {
  pathOfInode(inode: InodeNumber): string | undefined;
  pathOfHandle(handle: HandleId): string | undefined;
}

/** What the first arguments of an operation name. */
type Shape = 'inode' | 'handle' | 'name' | 'rename' | 'link' | 'copy';

/** Operations that a program asks for. `forget` is the kernel's own affair. */
const shapes: { readonly [K in keyof FileSystem]?: Shape } = {
  lookup: 'name',
  getattr: 'inode',
  setattr: 'inode',
  mkdir: 'name',
  unlink: 'name',
  rmdir: 'name',
  rename: 'rename',
  open: 'inode',
  create: 'name',
  read: 'handle',
  write: 'handle',
  flush: 'handle',
  fsync: 'handle',
  release: 'handle',
  opendir: 'inode',
  readdir: 'handle',
  readdirplus: 'handle',
  releasedir: 'handle',
  fsyncdir: 'handle',
  statfs: 'inode',
  readlink: 'inode',
  symlink: 'name',
  link: 'link',
  mknod: 'name',
  tmpfile: 'inode',
  lseek: 'handle',
  fallocate: 'handle',
  copyFileRange: 'copy',
  getxattr: 'inode',
  setxattr: 'inode',
  listxattr: 'inode',
  removexattr: 'inode',
  access: 'inode',
  ioctl: 'handle',
  poll: 'handle',
  syncfs: 'inode',
};

type Method = (...args: readonly unknown[]) => unknown;

/** What is known of an operation before it is done: afterwards a name may lead elsewhere. */
type Asked = Pick<Access, 'op' | 'path' | 'to' | 'offset' | 'pid' | 'uid'>;

export function notedFileSystem(
  fileSystem: FileSystem,
  places: Places,
  note: (access: Access) => void,
  clock: Pick<Clock, 'monotonic'>,
): FileSystem {
  const methods: Record<string, unknown> = {
    offersBacking: fileSystem.offersBacking,
    forget: (...args: Parameters<FileSystem['forget']>) => fileSystem.forget(...args),
  };
  for (const [op, shape] of Object.entries(shapes)) {
    const method: unknown = Reflect.get(fileSystem, op);
    // What the file system has not is absent here as well: the kernel makes do.
    if (typeof method !== 'function') continue;
    methods[op] = (...args: readonly unknown[]): unknown => {
      const asked = askedOf(op, shape, args, places);
      const startedMs = clock.monotonic();
      const done = (errno: string | undefined, result: unknown): void => {
        const bytes = errno === undefined ? bytesOf(op, args, result) : undefined;
        const ms = Math.round((clock.monotonic() - startedMs) * 1000) / 1000;
        note({ ...asked, ...(bytes !== undefined && { bytes }), errno, ms });
      };
      return noting(() => Reflect.apply(method as Method, fileSystem, args), done);
    };
  }
  // Each method of `fileSystem` is there, with its arguments and its answer.
  return methods as unknown as FileSystem;
}

/** A value at once stays a value at once. */
function noting(
  operation: () => unknown,
  done: (errno: string | undefined, result: unknown) => void,
): unknown {
  try {
    const result = operation();
    if (!(result instanceof Promise)) {
      done(undefined, result);
      return result;
    }
    result.then(
      (value: unknown) => done(undefined, value),
      (error: unknown) => done(toErrno(error), undefined),
    );
    return result;
  } catch (error) {
    done(toErrno(error), undefined);
    throw error;
  }
}

function askedOf(op: string, shape: Shape, args: readonly unknown[], places: Places): Asked {
  const [first, second, third, fourth] = args;
  const { pid, uid } = args.at(-1) as RequestContext;
  const named = (parent: unknown, name: unknown): string | undefined =>
    below(places.pathOfInode(parent as InodeNumber), name as Uint8Array);
  const ofHandle = (handle: unknown): string | undefined => places.pathOfHandle(handle as HandleId);
  const facts = { op, pid, uid };
  switch (shape) {
    case 'inode':
      return { ...facts, path: places.pathOfInode(first as InodeNumber) };
    case 'name':
      return { ...facts, path: named(first, second) };
    case 'rename':
      return { ...facts, path: named(first, second), to: named(third, fourth) ?? '' };
    case 'link':
      return {
        ...facts,
        path: places.pathOfInode(first as InodeNumber),
        to: named(second, third) ?? '',
      };
    case 'copy': {
      const [from, to] = [first, second] as readonly { readonly handle: HandleId }[];
      return { ...facts, path: ofHandle(from?.handle), to: ofHandle(to?.handle) ?? '' };
    }
    case 'handle': {
      const offset = op === 'read' || op === 'write' ? { offset: second as number } : {};
      return { ...facts, path: ofHandle(first), ...offset };
    }
  }
}

/** Bytes of content that went either way. */
function bytesOf(op: string, args: readonly unknown[], result: unknown): number | undefined {
  if (op === 'write') return (args[2] as Uint8Array).byteLength;
  if (op === 'copyFileRange') return result as number;
  if (op !== 'read') return undefined;
  const pieces = result instanceof Uint8Array ? [result] : (result as readonly Uint8Array[]);
  return pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function below(folder: string | undefined, name: Uint8Array): string | undefined {
  if (folder === undefined) return undefined;
  const text = Buffer.from(name).toString('utf8');
  return folder === '' ? text : `${folder}/${text}`;
}
