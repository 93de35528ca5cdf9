/**
 * What a kernel makes of replies, for `MemoryChannel`: how long the body of each may be
 * (`fuse_copy_out_args` of `fs/fuse/dev.c`), what an entry must look like for it not to be EIO
 * (`fs/fuse/dir.c`), and the references and handles it holds afterwards.
 */
import {
  FILE_TYPE_MASK,
  fileTypeBits,
  LINK_TARGET_BYTES_MAX,
  NAME_BYTES_MAX,
  opcodes,
  sizes,
} from './protocol/abi.ts';
import { RequestCursor } from './protocol/cursor.ts';

const SLASH = 0x2f;
const ROOT = 1;

export interface ExpectedReply {
  readonly opcode: number;
  /** Extent of the body of a success; undefined when only an error can be right. */
  readonly bytes: readonly [least: number, most: number] | undefined;
  /** `S_IFMT` of the node that is made, 0 for any. */
  readonly fileType: number;
}

/** Bodies of one length; the others depend on the request. */
const fixedBodies: ReadonlyMap<number, number> = new Map([
  ...[opcodes.LOOKUP, opcodes.SYMLINK, opcodes.MKNOD, opcodes.MKDIR, opcodes.LINK].map(
    (opcode) => [opcode, sizes.entryOut] as const,
  ),
  ...[opcodes.CREATE, opcodes.TMPFILE].map(
    (opcode) => [opcode, sizes.entryOut + sizes.openOut] as const,
  ),
  ...[opcodes.GETATTR, opcodes.SETATTR].map((opcode) => [opcode, sizes.attrOut] as const),
  ...[opcodes.OPEN, opcodes.OPENDIR].map((opcode) => [opcode, sizes.openOut] as const),
  ...[opcodes.WRITE, opcodes.COPY_FILE_RANGE].map((opcode) => [opcode, sizes.writeOut] as const),
  [opcodes.STATFS, sizes.statfsOut],
  [opcodes.LSEEK, sizes.lseekOut],
  [opcodes.POLL, sizes.pollOut],
  [opcodes.STATX, sizes.statxOut],
  [opcodes.COPY_FILE_RANGE_64, sizes.copyFileRangeOut],
]);

const madeTypes: ReadonlyMap<number, number> = new Map([
  [opcodes.MKDIR, fileTypeBits.directory],
  [opcodes.SYMLINK, fileTypeBits.symlink],
  [opcodes.CREATE, fileTypeBits.file],
  [opcodes.TMPFILE, fileTypeBits.file],
]);

const ENTRY_REPLIES: ReadonlySet<number> = new Set([
  opcodes.LOOKUP,
  opcodes.SYMLINK,
  opcodes.MKNOD,
  opcodes.MKDIR,
  opcodes.LINK,
  opcodes.CREATE,
  opcodes.TMPFILE,
]);
const knownTypes: ReadonlySet<number> = new Set(Object.values(fileTypeBits));

/** What may answer the request that `input` is at. */
export function expectedReply(opcode: number, input: RequestCursor): ExpectedReply {
  const made = opcode === opcodes.MKNOD ? input.u32(0) & FILE_TYPE_MASK : madeTypes.get(opcode);
  return { opcode, bytes: bodyBytes(opcode, input), fileType: made ?? 0 };
}

function bodyBytes(opcode: number, input: RequestCursor): ExpectedReply['bytes'] {
  const upTo = (bytes: number): readonly [number, number] => [0, bytes];
  switch (opcode) {
    case opcodes.READ:
    case opcodes.READDIR:
    case opcodes.READDIRPLUS:
      return input.bodyBytes < sizes.readIn ? undefined : upTo(input.u32(16));
    case opcodes.READLINK:
      return [1, LINK_TARGET_BYTES_MAX];
    case opcodes.GETXATTR:
    case opcodes.LISTXATTR: {
      if (input.bodyBytes < sizes.getxattrIn) return undefined;
      const room = input.u32(0);
      return room === 0 ? [sizes.getxattrOut, sizes.getxattrOut] : upTo(room);
    }
    case opcodes.IOCTL:
      if (input.bodyBytes < sizes.ioctlIn) return undefined;
      return [sizes.ioctlOut, sizes.ioctlOut + input.u32(28)];
    case opcodes.INIT:
      return upTo(sizes.initOut);
    default: {
      const fixed = fixedBodies.get(opcode) ?? 0;
      return [fixed, fixed];
    }
  }
}

/** References and handles that a kernel holds: what it was given and has not given back. */
export class KernelHoldings {
  readonly references: Map<number, number> = new Map<number, number>();
  readonly files: Set<number> = new Set<number>();
  readonly directories: Set<number> = new Set<number>();

  /** What all references come to. */
  get referenceCount(): number {
    let count = 0;
    for (const held of this.references.values()) count += held;
    return count;
  }

  /** Notes what a request gives back. */
  requested(opcode: number, input: RequestCursor): void {
    if (opcode === opcodes.FORGET) this.#giveBack(input.inode, input.u64(0));
    if (opcode === opcodes.RELEASE) this.files.delete(input.u64(0));
    if (opcode === opcodes.RELEASEDIR) this.directories.delete(input.u64(0));
    if (opcode !== opcodes.BATCH_FORGET) return;
    const room = Math.floor((input.bodyBytes - sizes.batchForgetIn) / sizes.forgetOne);
    for (let at = 0; at < Math.min(room, input.u32(0)); at += 1) {
      const from = sizes.batchForgetIn + at * sizes.forgetOne;
      this.#giveBack(input.u64(from), input.u64(from + 8));
    }
  }

  /** Notes what a reply hands over. Returns what is wrong with it, if anything. */
  replied({ opcode, fileType }: ExpectedReply, body: Uint8Array): string | undefined {
    if (body.length === 0) return undefined;
    const fields = wordsOf(body);
    if (opcode === opcodes.READDIR) return this.#listed(body, false);
    if (opcode === opcodes.READDIRPLUS) return this.#listed(body, true);
    if (opcode === opcodes.OPEN) this.files.add(u64(fields, 0));
    if (opcode === opcodes.OPENDIR) this.directories.add(u64(fields, 0));
    if (!ENTRY_REPLIES.has(opcode)) return undefined;
    if (body.length > sizes.entryOut) this.files.add(u64(fields, sizes.entryOut));
    const nothing = opcode === opcodes.LOOKUP && u64(fields, 0) === 0;
    return nothing ? undefined : this.#entry(fields, 0, fileType);
  }

  #entry(fields: Uint32Array, at: number, wanted: number): string | undefined {
    const inode = u64(fields, at);
    if (inode === 0 || inode === ROOT) return `an entry with inode ${inode}`;
    this.references.set(inode, (this.references.get(inode) ?? 0) + 1);
    const type = (fields[(at + 100) >>> 2] ?? 0) & FILE_TYPE_MASK;
    const right = wanted === 0 ? knownTypes.has(type) : type === wanted;
    return right ? undefined : `an entry of type 0o${type.toString(8)}`;
  }

  #listed(body: Uint8Array, plus: boolean): string | undefined {
    const fields = wordsOf(body);
    const before = plus ? sizes.entryOut : 0;
    let cookie = 0;
    for (let at = 0; at < body.length; ) {
      const dirent = at + before;
      const nameBytes = fields[(dirent + 16) >>> 2] ?? 0;
      const name = body.subarray(dirent + sizes.dirent, dirent + sizes.dirent + nameBytes);
      if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX) return `a name of ${nameBytes} bytes`;
      if (name.length < nameBytes || name.includes(SLASH)) return 'a broken name in a listing';
      if (u64(fields, dirent + 8) <= cookie) return 'a cookie that does not grow';
      cookie = u64(fields, dirent + 8);
      const wrong = plus && u64(fields, at) !== 0 ? this.#entry(fields, at, 0) : undefined;
      if (wrong !== undefined) return wrong;
      at = (dirent + sizes.dirent + nameBytes + 7) & ~7;
      if (at > body.length) return 'a listing that ends within a name';
    }
    return undefined;
  }

  #giveBack(inode: number, count: number): void {
    const left = (this.references.get(inode) ?? 0) - count;
    if (left > 0) this.references.set(inode, left);
    else this.references.delete(inode);
  }
}

/** Aligned words of `bytes`, whose last ones may be missing. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(new Uint8Array(bytes.subarray(0, bytes.length & ~3)).buffer);
}

function u64(words: Uint32Array, at: number): number {
  return (words[at >>> 2] ?? 0) + (words[(at >>> 2) + 1] ?? 0) * 2 ** 32;
}
