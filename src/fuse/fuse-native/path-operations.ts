/**
 * The operations as fuse-native calls them, by path with a callback, over a `PathWalker`. Every
 * call is answered exactly once; until there is a walker all of them wait.
 *
 * The package tells neither who asks nor of interrupts, gives no flags to `create`, and loses the
 * modification time of utimens(2): both times become the access time it hands over.
 */
import type { Reply } from 'fuse-native';
import { FsError, toErrno } from '../../fs/errno.ts';
import type { Attributes, ReadBytes, RequestContext } from '../../fs/filesystem.ts';
import { errnoNumbers } from '../linux/errno.ts';
import type { PathWalker, WalkedHandle } from '../path-walker.ts';
import { fileTypeBits } from '../protocol/abi.ts';
import { decodeOpenFlags, PERMISSION_BITS } from '../protocol/request.ts';

type Operations = Readonly<Record<string, (...args: never[]) => void>>;

/** `st_blksize`: what a read or write of the package carries at most. */
const BLOCK_BYTES = 128 * 1024;
const STAT_BLOCK_BYTES = 512;
/** chown(2) leaves alone what is -1. */
const UNCHANGED = 0xffffffff;
const WORD_MAX = 0xffffffff;
const createFlags = {
  access: 'read-write',
  truncate: false,
  append: false,
  exclusive: false,
} as const;

/** Open files by the small numbers that the package can carry. */
class OpenFiles {
  readonly #files = new Map<number, WalkedHandle>();
  #next = 1;

  add(file: WalkedHandle): number {
    while (this.#files.has(this.#next)) this.#next = (this.#next % WORD_MAX) + 1;
    this.#files.set(this.#next, file);
    return this.#next;
  }

  get(number: number): WalkedHandle {
    const file = this.#files.get(number);
    if (file === undefined) throw new FsError('EBADF', 'use a file that is not open');
    return file;
  }

  remove(number: number): WalkedHandle {
    const file = this.get(number);
    this.#files.delete(number);
    return file;
  }
}

export interface PathOperationsOptions {
  /** Rejects when nobody will ever be served. */
  readonly walker: Promise<PathWalker>;
  readonly context: RequestContext;
  readonly failed: (operation: string, error: unknown) => void;
}

/** Table of the operations, by the names of the package. */
export function pathOperations({ walker, context, failed }: PathOperationsOptions): Operations {
  const files = new OpenFiles();
  /** Answers with what `work` resolves to: a code and perhaps a result. */
  const answer = (
    name: string,
    reply: Reply,
    work: (walk: PathWalker) => Promise<readonly [number, unknown?]>,
  ): void => {
    walker
      .then(work)
      .catch((error: unknown) => {
        const errno = toErrno(error);
        if (errno === 'EIO') failed(name, error);
        return [-errnoNumbers[errno]] as const;
      })
      .then(([code, result]) => reply(code, result))
      .catch((error: unknown) => failed(name, error));
  };
  const done = async (work: Promise<void>): Promise<readonly [number]> => {
    await work;
    return [0];
  };
  return {
    ...fileOperations(answer, done, files, context),
    ...nameOperations(answer, done, context),
  };
}

type Answer = (
  name: string,
  reply: Reply,
  work: (walk: PathWalker) => Promise<readonly [number, unknown?]>,
) => void;
type Done = (work: Promise<void>) => Promise<readonly [number]>;

/** What is done to open files. */
function fileOperations(
  answer: Answer,
  done: Done,
  files: OpenFiles,
  context: RequestContext,
): Operations {
  return {
    open: (path: string, flags: number, reply: Reply) =>
      answer('open', reply, async (walk) => [
        0,
        files.add(await walk.open(path, decodeOpenFlags(flags), context)),
      ]),
    create: (path: string, mode: number, reply: Reply) =>
      answer('create', reply, async (walk) => {
        const file = await walk.create(path, mode & PERMISSION_BITS, createFlags, context);
        return [0, files.add(file)];
      }),
    fgetattr: (_: string, file: number, reply: Reply) =>
      answer('fgetattr', reply, async (walk) => [
        0,
        statOf(await walk.getattrOf(files.get(file), context)),
      ]),
    ftruncate: (_: string, file: number, bytes: number, reply: Reply) =>
      answer('ftruncate', reply, (walk) =>
        done(walk.setattrOf(files.get(file), { bytes }, context)),
      ),
    read: (_: string, file: number, into: Buffer, bytes: number, at: number, reply: Reply) =>
      answer('read', reply, async (walk) => [
        copyTo(into, await walk.read(files.get(file), at, bytes, context)),
      ]),
    write: (_: string, file: number, from: Buffer, bytes: number, at: number, reply: Reply) =>
      answer('write', reply, async (walk) => {
        await walk.write(files.get(file), at, from.subarray(0, bytes), context);
        return [bytes];
      }),
    flush: (_: string, file: number, reply: Reply) =>
      answer('flush', reply, (walk) => done(walk.flush(files.get(file), context))),
    fsync: (_: string, dataOnly: unknown, file: number, reply: Reply) =>
      answer('fsync', reply, (walk) =>
        done(walk.fsync(files.get(file), Boolean(dataOnly), context)),
      ),
    release: (_: string, file: number, reply: Reply) =>
      answer('release', reply, (walk) => done(walk.release(files.remove(file), context))),
  };
}

/** What is done to names. */
function nameOperations(answer: Answer, done: Done, context: RequestContext): Operations {
  return {
    getattr: (path: string, reply: Reply) =>
      answer('getattr', reply, async (walk) => [0, statOf(await walk.getattr(path, context))]),
    readdir: (path: string, reply: Reply) =>
      answer('readdir', reply, async (walk) => {
        const names = await walk.list(path, context);
        return [0, ['.', '..', ...names.map((name) => Buffer.from(name).toString())]];
      }),
    readlink: (path: string, reply: Reply) =>
      answer('readlink', reply, async (walk) => [
        0,
        Buffer.from(await walk.readlink(path, context)).toString(),
      ]),
    symlink: (target: string, path: string, reply: Reply) =>
      answer('symlink', reply, (walk) => done(walk.symlink(Buffer.from(target), path, context))),
    mkdir: (path: string, mode: number, reply: Reply) =>
      answer('mkdir', reply, (walk) => done(walk.mkdir(path, mode & PERMISSION_BITS, context))),
    unlink: (path: string, reply: Reply) =>
      answer('unlink', reply, (walk) => done(walk.unlink(path, context))),
    rmdir: (path: string, reply: Reply) =>
      answer('rmdir', reply, (walk) => done(walk.rmdir(path, context))),
    rename: (from: string, to: string, reply: Reply) =>
      answer('rename', reply, (walk) => done(walk.rename(from, to, context))),
    truncate: (path: string, bytes: number, reply: Reply) =>
      answer('truncate', reply, (walk) => done(walk.setattr(path, { bytes }, context))),
    chmod: (path: string, mode: number, reply: Reply) =>
      answer('chmod', reply, (walk) =>
        done(walk.setattr(path, { mode: mode & PERMISSION_BITS }, context)),
      ),
    chown: (path: string, uid: number, gid: number, reply: Reply) =>
      answer('chown', reply, (walk) => done(walk.setattr(path, ownerOf(uid, gid), context))),
    utimens: (path: string, atimeMs: number, _: number, reply: Reply) =>
      answer('utimens', reply, (walk) =>
        done(walk.setattr(path, { atimeMs, mtimeMs: atimeMs }, context)),
      ),
    statfs: (path: string, reply: Reply) =>
      answer('statfs', reply, async (walk) => {
        const { blockBytes, blocks, freeBlocks, files, freeFiles, nameBytes } = await walk.statfs(
          path,
          context,
        );
        const least = (count: number): number => Math.min(count, WORD_MAX);
        const space = {
          blocks: least(blocks),
          bfree: least(freeBlocks),
          bavail: least(freeBlocks),
        };
        const count = { files: least(files), ffree: least(freeFiles), favail: least(freeFiles) };
        return [
          0,
          { bsize: blockBytes, frsize: blockBytes, ...space, ...count, namemax: nameBytes },
        ];
      }),
  };
}

function ownerOf(uid: number, gid: number): { uid?: number; gid?: number } {
  return {
    ...(uid >>> 0 !== UNCHANGED && { uid: uid >>> 0 }),
    ...(gid >>> 0 !== UNCHANGED && { gid: gid >>> 0 }),
  };
}

function statOf(attributes: Attributes): object {
  const { ino, type, mode, nlink, uid, gid, bytes, atimeMs, mtimeMs, ctimeMs } = attributes;
  return {
    mode: fileTypeBits[type] | mode,
    size: bytes,
    blksize: BLOCK_BYTES,
    blocks: Math.ceil(bytes / STAT_BLOCK_BYTES),
    // It carries whole ms since the epoch, and no inode beyond 32 bits.
    atime: Math.max(Math.floor(atimeMs), 0),
    mtime: Math.max(Math.floor(mtimeMs), 0),
    ctime: Math.max(Math.floor(ctimeMs), 0),
    ino: ino % (WORD_MAX + 1),
    nlink,
    uid,
    gid,
  };
}

function copyTo(into: Buffer, content: ReadBytes): number {
  const pieces = content instanceof Uint8Array ? [content] : content;
  let at = 0;
  for (const piece of pieces) {
    into.set(piece, at);
    at += piece.length;
  }
  return at;
}
