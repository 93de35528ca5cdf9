/** System calls of one process, as functions. Paths are relative to the folder of the check. */
import { type Argument, type Caller, Refused, Room } from './caller.ts';
import { AT, O } from './flags.ts';
import {
  type Dirent,
  encodeLock,
  encodeTimes,
  type FileSystemStat,
  type Lock,
  lockTypes,
  parseDirents,
  parseStatfs,
  parseStatx,
  STATFS_BYTES,
  STATX_BYTES,
  type Stat,
} from './structs.ts';

/** STATX_BASIC_STATS */
const ALL_OF_STAT = 0x7ff;
const LISTING_BYTES = 32_768;
/** Every path of Linux fits. */
const PATH_BYTES = 4096;
/** The largest value of an extended attribute, and of all their names. */
const XATTR_BYTES = 65_536;

export type Path = string | Uint8Array;

export class SystemCalls {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Any call, with its raw arguments. @throws Refused with the errno's name. */
  async call(name: string, ...args: readonly Argument[]): Promise<number> {
    return await this.#caller.call(name, ...args);
  }

  /** Runs `work` as somebody else, of the group `gid` alone, and becomes root again. */
  async as<T>(uid: number, work: () => Promise<T>, gid: number = uid): Promise<T> {
    await this.call('setgroups', 0, 0);
    await this.call('setresgid', gid, gid, 0);
    await this.call('setresuid', uid, uid, 0);
    try {
      return await work();
    } finally {
      await this.call('setresuid', 0, 0, 0);
      await this.call('setresgid', 0, 0, 0);
    }
  }

  async open(path: Path, flags: number, mode = 0o644): Promise<number> {
    return await this.call('openat', AT.FDCWD, path, flags, mode);
  }

  /** The descriptor of a file that is there only now, for writing and reading. */
  async create(path: Path, mode = 0o644): Promise<number> {
    return await this.open(path, O.RDWR | O.CREAT | O.EXCL, mode);
  }

  async close(fd: number): Promise<void> {
    await this.call('close', fd);
  }

  /** Runs `work` with an open descriptor, which is closed also when it fails. */
  async with<T>(path: Path, flags: number, work: (fd: number) => Promise<T>): Promise<T> {
    const fd = await this.open(path, flags);
    let done: T;
    try {
      done = await work(fd);
    } catch (error) {
      await this.close(fd).catch(() => undefined);
      throw error;
    }
    await this.close(fd);
    return done;
  }

  async read(fd: number, length: number): Promise<Buffer> {
    const room = new Room(length);
    const count = await this.call('read', fd, room, length);
    return room.bytes.subarray(0, count);
  }

  async pread(fd: number, length: number, offset: number | bigint): Promise<Buffer> {
    const room = new Room(length);
    const count = await this.call('pread64', fd, room, length, offset);
    return room.bytes.subarray(0, count);
  }

  /** @returns how many bytes were taken. */
  async write(fd: number, content: string | Uint8Array): Promise<number> {
    return await this.call('write', fd, content, Buffer.byteLength(content));
  }

  async pwrite(fd: number, content: string | Uint8Array, offset: number | bigint): Promise<number> {
    return await this.call('pwrite64', fd, content, Buffer.byteLength(content), offset);
  }

  async seek(fd: number, offset: number | bigint, whence: number): Promise<number> {
    return await this.call('lseek', fd, offset, whence);
  }

  /** Makes or replaces a file with this content. */
  async put(path: Path, content: string | Uint8Array, mode = 0o644): Promise<void> {
    const fd = await this.open(path, O.WRONLY | O.CREAT | O.TRUNC, mode);
    try {
      if (content.length > 0) await this.write(fd, content);
    } finally {
      await this.close(fd);
    }
  }

  async bytes(path: Path): Promise<Buffer> {
    return await this.with(path, O.RDONLY, async (fd) => {
      const parts: Buffer[] = [];
      for (;;) {
        const part = await this.read(fd, 262_144);
        if (part.length === 0) return Buffer.concat(parts);
        parts.push(part);
      }
    });
  }

  async text(path: Path): Promise<string> {
    return (await this.bytes(path)).toString();
  }

  /** As lstat(2). */
  async stat(path: Path): Promise<Stat> {
    return await this.#statx(AT.FDCWD, path, AT.SYMLINK_NOFOLLOW);
  }

  /** As stat(2): of what a symlink points to. */
  async follow(path: Path): Promise<Stat> {
    return await this.#statx(AT.FDCWD, path, 0);
  }

  async fstat(fd: number): Promise<Stat> {
    return await this.#statx(fd, '', AT.EMPTY_PATH);
  }

  async #statx(fd: number, path: Path, flags: number): Promise<Stat> {
    const room = new Room(STATX_BYTES);
    await this.call('statx', fd, path, flags, ALL_OF_STAT, room);
    return parseStatx(room.bytes);
  }

  async mkdir(path: Path, mode = 0o755): Promise<void> {
    await this.call('mkdirat', AT.FDCWD, path, mode);
  }

  async rmdir(path: Path): Promise<void> {
    await this.call('unlinkat', AT.FDCWD, path, AT.REMOVEDIR);
  }

  async unlink(path: Path): Promise<void> {
    await this.call('unlinkat', AT.FDCWD, path, 0);
  }

  async rename(from: Path, to: Path, flags = 0): Promise<void> {
    await this.call('renameat2', AT.FDCWD, from, AT.FDCWD, to, flags);
  }

  async link(from: Path, to: Path, flags = 0): Promise<void> {
    await this.call('linkat', AT.FDCWD, from, AT.FDCWD, to, flags);
  }

  async symlink(target: Path, path: Path): Promise<void> {
    await this.call('symlinkat', target, AT.FDCWD, path);
  }

  async readlink(path: Path, length: number = PATH_BYTES): Promise<string> {
    const room = new Room(length);
    const count = await this.call('readlinkat', AT.FDCWD, path, room, length);
    return room.bytes.subarray(0, count).toString();
  }

  async mknod(path: Path, mode: number, device = 0): Promise<void> {
    await this.call('mknodat', AT.FDCWD, path, mode, device);
  }

  async chmod(path: Path, mode: number): Promise<void> {
    await this.call('fchmodat', AT.FDCWD, path, mode);
  }

  /** -1 leaves an owner as it is. */
  async chown(path: Path, uid: number, gid: number): Promise<void> {
    await this.call('fchownat', AT.FDCWD, path, uid, gid, AT.SYMLINK_NOFOLLOW);
  }

  async utimens(
    path: Path,
    atime: bigint | 'now' | 'omit',
    mtime: bigint | 'now' | 'omit',
  ): Promise<void> {
    const times = encodeTimes(atime, mtime);
    await this.call('utimensat', AT.FDCWD, path, times, AT.SYMLINK_NOFOLLOW);
  }

  async access(path: Path, mode: number): Promise<void> {
    await this.call('faccessat2', AT.FDCWD, path, mode, AT.EACCESS);
  }

  async truncate(path: Path, length: number | bigint): Promise<void> {
    await this.call('truncate', path, length);
  }

  async ftruncate(fd: number, length: number | bigint): Promise<void> {
    await this.call('ftruncate', fd, length);
  }

  /** Some of the entries from where the descriptor is; none at the end. */
  async dirents(fd: number, bytes: number = LISTING_BYTES): Promise<readonly Dirent[]> {
    const room = new Room(bytes);
    const count = await this.call('getdents64', fd, room, bytes);
    return parseDirents(room.bytes.subarray(0, count));
  }

  /** All entries of a directory, with . and .. */
  async entries(path: Path): Promise<readonly Dirent[]> {
    return await this.with(path, O.RDONLY | O.DIRECTORY, async (fd) => await this.rest(fd));
  }

  /** All entries that a descriptor still has to give. */
  async rest(fd: number): Promise<readonly Dirent[]> {
    const all: Dirent[] = [];
    for (;;) {
      const some = await this.dirents(fd);
      if (some.length === 0) return all;
      all.push(...some);
    }
  }

  /** Names in a directory, sorted, without . and .. */
  async names(path: Path): Promise<readonly string[]> {
    return namesOf(await this.entries(path));
  }

  async statfs(path: Path): Promise<FileSystemStat> {
    const room = new Room(STATFS_BYTES);
    await this.call('statfs', path, room);
    return parseStatfs(room.bytes);
  }

  async setxattr(path: Path, name: string, value: string | Uint8Array, flags = 0): Promise<void> {
    await this.call('lsetxattr', path, name, value, Buffer.byteLength(value), flags);
  }

  async getxattr(path: Path, name: string): Promise<Buffer> {
    const room = new Room(XATTR_BYTES);
    const count = await this.call('lgetxattr', path, name, room, XATTR_BYTES);
    return room.bytes.subarray(0, count);
  }

  /** Names of a path's own attributes (`user.`), sorted. */
  async xattrs(path: Path): Promise<readonly string[]> {
    const room = new Room(XATTR_BYTES);
    const count = await this.call('llistxattr', path, room, XATTR_BYTES);
    const names = room.bytes.subarray(0, count).toString().split('\0');
    return names.filter((name) => name.startsWith('user.')).sort();
  }

  /** A call of fcntl(2) that takes a lock or asks for one. @returns the lock that is in the way. */
  async lock(fd: number, command: number, lock: Lock): Promise<Lock['type']> {
    const memory = await this.#memory(encodeLock(lock));
    await this.call('fcntl', fd, command, memory);
    const type = (await this.peek(memory, 2)).readInt16LE(0);
    return type === lockTypes.none ? 'none' : type === lockTypes.read ? 'read' : 'write';
  }

  /** Address of memory of its own that holds `bytes`. Lives as long as the process. */
  async #memory(bytes: Uint8Array): Promise<number> {
    // PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS
    const address = await this.call('mmap', 0, Math.max(bytes.length, 1), 3, 0x22, -1, 0);
    await this.poke(address, bytes);
    return address;
  }

  /** Makes a call with the pieces as `struct iovec`: readv, writev and their kin. */
  async vectored(
    name: string,
    fd: number,
    pieces: readonly Uint8Array[],
    ...more: readonly Argument[]
  ): Promise<{ readonly value: number; readonly pieces: readonly Buffer[] }> {
    const vector = Buffer.alloc(16 * pieces.length);
    const places: number[] = [];
    for (const [at, piece] of pieces.entries()) {
      const place = await this.#memory(piece);
      places.push(place);
      vector.writeBigUInt64LE(BigInt(place), 16 * at);
      vector.writeBigUInt64LE(BigInt(piece.length), 16 * at + 8);
    }
    const value = await this.call(name, fd, vector, pieces.length, ...more);
    const after = places.map(async (place, at) => await this.peek(place, pieces[at]?.length ?? 0));
    return { value, pieces: await Promise.all(after) };
  }

  async peek(address: number, length: number): Promise<Buffer> {
    return await this.#caller.peek(address, length);
  }

  async poke(address: number, content: string | Uint8Array): Promise<void> {
    await this.#caller.poke(address, Buffer.from(content));
  }

  /** Waits until the clock that file systems take times from has moved: at most a tick, 10 ms. */
  async tick(): Promise<void> {
    await this.call('nanosleep', encodeTimes(20_000_000n), 0);
  }

  /** Ends the process as a crash does. */
  async kill(): Promise<void> {
    await this.#caller.kill();
  }
}

export function namesOf(entries: readonly Dirent[]): readonly string[] {
  const names = entries.map(({ name }) => name);
  return names.filter((name) => name !== '.' && name !== '..').sort();
}

/** Errno's name that `work` ends with, or `done`. */
export async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}
