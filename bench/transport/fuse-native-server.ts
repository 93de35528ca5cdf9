/**
 * `fuse-native-server.js MOUNTPOINT ATTRIBUTE_SECONDS`: the same tree over the package fuse-native,
 * in its own terms (paths, numbers with callbacks). Prints `ready`; serves until SIGTERM.
 */
import { createRequire } from 'node:module';
import { type Node, Tree } from './tree.ts';

type Reply = (errno: number, ...values: readonly unknown[]) => void;
type Operation = (...args: readonly never[]) => void;
interface FuseNative {
  mount(done: (error: Error | null) => void): void;
  unmount(done: (error: Error | null) => void): void;
  _fuseOptions(): string;
}
type FuseNativeClass = new (
  mountPoint: string,
  operations: Readonly<Record<string, Operation>>,
  options: object,
) => FuseNative;

const ENOENT = -2;
const DIRECTORY_BITS = 0o040000;
const FILE_BITS = 0o100000;

const [mountPoint = '', attributeSeconds = '0'] = process.argv.slice(2);
const tree = new Tree(true);
const encoder = new TextEncoder();

/** The folder of `path`, and its last name. */
function split(path: string): readonly [Node | undefined, Uint8Array] {
  const slash = path.lastIndexOf('/');
  return [resolve(path.slice(0, slash)), encoder.encode(path.slice(slash + 1))];
}

function resolve(path: string): Node | undefined {
  if (path === '' || path === '/') return tree.root;
  const [folder, name] = split(path);
  return folder === undefined ? undefined : tree.find(folder, name);
}

function statOf({ attributes }: Node): object {
  const { mode, type, bytes, nlink, uid, gid, ino, mtimeMs } = attributes;
  const time = new Date(mtimeMs);
  const bits = type === 'directory' ? DIRECTORY_BITS : FILE_BITS;
  const times = { mtime: time, atime: time, ctime: time };
  return { mode: bits | mode, size: bytes, nlink, uid, gid, ino, ...times };
}

function open(node: Node | undefined, reply: Reply): void {
  if (node === undefined) {
    reply(ENOENT);
    return;
  }
  node.openHandles += 1;
  reply(0, node.inode);
}

const operations: Readonly<Record<string, Operation>> = {
  getattr(path: string, reply: Reply) {
    const node = resolve(path);
    if (node === undefined) reply(ENOENT);
    else reply(0, statOf(node));
  },
  fgetattr(_: string, handle: number, reply: Reply) {
    const node = tree.node(handle);
    if (node === undefined) reply(ENOENT);
    else reply(0, statOf(node));
  },
  readdir(path: string, reply: Reply) {
    const names = [...(resolve(path)?.names ?? [])];
    reply(
      0,
      names.map(({ name }) => Buffer.from(name).toString('latin1')),
    );
  },
  open: (path: string, _: number, reply: Reply) => open(resolve(path), reply),
  create(path: string, mode: number, reply: Reply) {
    const [folder, name] = split(path);
    const found = folder === undefined ? undefined : tree.find(folder, name);
    open(found ?? (folder && tree.make(folder, name, 'file', mode & 0o7777)), reply);
  },
  read(_: string, handle: number, into: Uint8Array, wanted: number, at: number, reply: Reply) {
    const node = tree.node(handle);
    const bytes = node === undefined ? new Uint8Array(0) : tree.read(node, at, wanted);
    into.set(bytes);
    reply(bytes.length);
  },
  write(_: string, handle: number, from: Uint8Array, count: number, at: number, reply: Reply) {
    const node = tree.node(handle);
    if (node !== undefined) tree.write(node, at, from.subarray(0, count));
    reply(count);
  },
  truncate(path: string, bytes: number, reply: Reply) {
    const node = resolve(path);
    if (node !== undefined) node.attributes.bytes = bytes;
    reply(node === undefined ? ENOENT : 0);
  },
  chmod(path: string, mode: number, reply: Reply) {
    const node = resolve(path);
    if (node !== undefined) node.attributes.mode = mode & 0o7777;
    reply(node === undefined ? ENOENT : 0);
  },
  flush: (_: string, __: number, reply: Reply) => reply(0),
  fsync: (_: string, __: boolean, ___: number, reply: Reply) => reply(0),
  release(_: string, handle: number, reply: Reply) {
    const node = tree.node(handle);
    if (node !== undefined) {
      node.openHandles -= 1;
      tree.dropUnused(node);
    }
    reply(0);
  },
  unlink(path: string, reply: Reply) {
    const node = resolve(path);
    if (node !== undefined) tree.unlink(node);
    reply(node === undefined ? ENOENT : 0);
  },
};

const Fuse = createRequire(import.meta.url)('fuse-native') as FuseNativeClass;
// `timeout: false`: it would answer ETIMEDOUT for a slow operation and go on with it.
const fuse = new Fuse(mountPoint, operations, { allowOther: true, timeout: false });
// The package has no way to ask for requests of 128 KiB or for times of 0.
fuse._fuseOptions = () =>
  `-oallow_other,default_permissions,big_writes,max_read=1048576,entry_timeout=60,attr_timeout=${attributeSeconds}`;
const check = (error: Error | null): void => {
  if (error !== null) throw error;
};
process.once('SIGTERM', () => {
  fuse.unmount((error) => {
    check(error);
    process.exit(0);
  });
});
fuse.mount((error) => {
  check(error);
  process.stdout.write('ready\n');
});
