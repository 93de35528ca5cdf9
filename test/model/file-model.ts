/**
 * What the file system promises, said plainly: a map of keys, the directories this mount keeps in
 * view, and one `Content` for each file that is open. The foreign client changes the map behind
 * the mount's back; the mount is told at once (its knowledge expires), so that answers are exact.
 */

/** The content that all handles on one version of a file share. */
export interface Content {
  bytes: Buffer;
  /** 1 for each byte that is as in the object before, which nobody has downloaded for sure. */
  based: Uint8Array;
  /** Not in the bucket yet. */
  dirty: boolean;
  /** Never in the bucket so far. */
  fresh: boolean;
  /** Made by O_EXCL. */
  mustBeNew: boolean;
  /** Undefined once the name leads elsewhere. */
  path: string | undefined;
  /** Unlinked or replaced by this mount: never saved, and there as long as somebody has it open. */
  unlinked: boolean;
  /** Where its object may still be, then. */
  remainsAt: string | undefined;
  /** Somebody else changed the object: it cannot be saved, and reads may end. */
  stale: boolean;
  /** A save was refused: its bytes are in `kept`. */
  lost: boolean;
  handles: number;
}

export interface ModelHandle {
  readonly content: Content;
  readonly writes: boolean;
  readonly append: boolean;
}

/** Bytes that were put aside: of those that only the object had there may be zeros. */
export type Kept = Pick<Content, 'bytes' | 'based'>;

export type Outcome = string;

export class FileModel {
  readonly bucket = new Map<string, Buffer>();
  readonly viewed = new Set<string>();
  readonly files = new Map<string, Content>();
  /** Of files that were unlinked while open. */
  readonly #unlinked = new Set<Content>();
  /** Bytes that could not be saved. */
  readonly kept: Kept[] = [];

  isFile(path: string): boolean {
    if (this.isDirectory(path)) return false;
    return this.bucket.has(path) || this.files.has(path);
  }

  isDirectory(path: string): boolean {
    if (path === '' || this.viewed.has(path)) return true;
    const below = `${path}/`;
    const holds = (key: string): boolean => key.startsWith(below);
    return [...this.bucket.keys()].some(holds) || [...this.files.keys()].some(holds);
  }

  /** Why the directory of `path` cannot be reached; 'ok' when it can. */
  walk(path: string): Outcome {
    const parts = path.split('/').slice(0, -1);
    for (let at = 1; at <= parts.length; at += 1) {
      const above = parts.slice(0, at).join('/');
      if (this.isFile(above)) return 'ENOTDIR';
      if (!this.isDirectory(above)) return 'ENOENT';
    }
    return 'ok';
  }

  names(directory: string): string[] {
    const below = directory === '' ? '' : `${directory}/`;
    const names = new Set<string>();
    for (const key of [...this.bucket.keys(), ...this.files.keys(), ...this.viewed]) {
      if (key.startsWith(below) && key !== below) {
        names.add(key.slice(below.length).split('/')[0] ?? '');
      }
    }
    return [...names].sort();
  }

  bytesAt(path: string): Buffer {
    return this.files.get(path)?.bytes ?? this.bucket.get(path) ?? Buffer.alloc(0);
  }

  /** All directories in which something was removed stay. */
  keepInView(path: string): void {
    for (let at = parentOf(path); at !== ''; at = parentOf(at)) this.viewed.add(at);
  }

  attach(path: string): Content {
    const open = this.files.get(path);
    if (open !== undefined) return open;
    const content: Content = {
      bytes: this.bytesAt(path),
      based: new Uint8Array(this.bytesAt(path).length).fill(1),
      dirty: false,
      fresh: !this.bucket.has(path),
      mustBeNew: false,
      path,
      unlinked: false,
      remainsAt: undefined,
      stale: false,
      lost: false,
      handles: 0,
    };
    this.files.set(path, content);
    return content;
  }

  detach(content: Content): void {
    if (content.path !== undefined && this.files.get(content.path) === content) {
      this.files.delete(content.path);
    }
    content.path = undefined;
  }

  save(content: Content): Outcome {
    if (!content.dirty || content.unlinked || content.lost) return 'ok';
    if (content.stale || content.path === undefined) {
      this.kept.push({ bytes: content.bytes, based: content.based });
      this.detach(content);
      content.lost = true;
      return content.fresh && content.mustBeNew ? 'EEXIST' : 'ESTALE';
    }
    this.bucket.set(content.path, content.bytes);
    content.dirty = false;
    content.fresh = false;
    return 'ok';
  }

  resize(content: Content, bytes: number): void {
    if (content.bytes.length === bytes) return;
    const resized = Buffer.alloc(bytes);
    content.bytes.copy(resized);
    content.bytes = resized;
    content.based = fitted(content.based, bytes);
    content.dirty = true;
  }

  write(content: Content, offset: number, bytes: Buffer): void {
    const end = Math.max(content.bytes.length, offset + bytes.length);
    const written = Buffer.alloc(end);
    content.bytes.copy(written);
    bytes.copy(written, offset);
    content.bytes = written;
    content.based = fitted(content.based, end).fill(0, offset, offset + bytes.length);
    content.dirty = true;
  }

  /** fallocate: zeros where it says so, and longer where that reaches beyond the end. */
  allocate(content: Content, start: number, end: number, zeroes: boolean, keepSize: boolean): void {
    const before = content.bytes;
    const length = keepSize ? before.length : Math.max(before.length, end);
    const until = Math.min(end, length);
    if (!zeroes && length === before.length) return;
    if (zeroes && until <= start) return;
    const bytes = Buffer.alloc(length);
    before.copy(bytes);
    if (zeroes) bytes.fill(0, start, until);
    content.bytes = bytes;
    content.based = fitted(content.based, length);
    if (zeroes) content.based.fill(0, start, until);
    content.dirty = true;
  }

  close(handle: ModelHandle): Outcome {
    const { content } = handle;
    const outcome = handle.writes ? this.save(content) : 'ok';
    content.handles -= 1;
    if (content.handles === 0) {
      this.save(content);
      this.detach(content);
      this.#unlinked.delete(content);
    }
    return outcome;
  }

  unlink(path: string): void {
    const content = this.files.get(path);
    if (content !== undefined) {
      content.unlinked = true;
      content.remainsAt = path;
      this.#unlinked.add(content);
      this.detach(content);
    }
    // What somebody else made under the name of a file that was never saved is not ours.
    if (content?.fresh !== true) this.bucket.delete(path);
    this.keepInView(path);
  }

  rename(from: string, to: string, noReplace: boolean): Outcome {
    for (const path of [from, to]) if (this.walk(path) !== 'ok') return this.walk(path);
    if (!this.isFile(from) && !this.isDirectory(from)) return 'ENOENT';
    if (to.startsWith(`${from}/`)) return 'EINVAL';
    if (from === to) return 'ok';
    const taken = this.isFile(to) || this.isDirectory(to);
    if (taken && noReplace) return 'EEXIST';
    if (this.isFile(from)) return this.#renameFile(from, to);
    if (this.isFile(to)) return 'ENOTDIR';
    if (this.isDirectory(to) && this.names(to).length > 0) return 'ENOTEMPTY';
    this.#renameDirectory(from, to);
    return 'ok';
  }

  #renameFile(from: string, to: string): Outcome {
    if (this.isDirectory(to)) return 'EISDIR';
    const content = this.files.get(from);
    const saved = content === undefined ? 'ok' : this.save(content);
    if (saved !== 'ok') return saved;
    const bytes = this.bytesAt(from);
    if (this.isFile(to)) this.unlink(to);
    this.bucket.delete(from);
    this.bucket.set(to, bytes);
    if (content !== undefined) {
      this.files.delete(from);
      content.path = to;
      this.files.set(to, content);
    }
    this.keepInView(from);
    return 'ok';
  }

  #renameDirectory(from: string, to: string): void {
    const moved = (path: string): string => to + path.slice(from.length);
    const inside = (path: string): boolean => path === from || path.startsWith(`${from}/`);
    let keys = 0;
    for (const [key, bytes] of [...this.bucket]) {
      if (!inside(key)) continue;
      keys += 1;
      this.bucket.delete(key);
      this.bucket.set(moved(key), bytes);
    }
    this.viewed.delete(to);
    for (const path of [...this.viewed].filter(inside)) {
      this.viewed.delete(path);
      this.viewed.add(moved(path));
    }
    for (const [path, content] of [...this.files].filter(([at]) => inside(at))) {
      this.files.delete(path);
      content.path = moved(path);
      this.files.set(content.path, content);
    }
    this.keepInView(from);
    if (keys === 0) this.keepInView(`${to}/x`);
  }

  /** Somebody else writes, or removes (undefined). Whether that is a change the model allows. */
  foreign(path: string, bytes: Buffer | undefined): boolean {
    if (bytes === undefined) {
      const without = [...this.bucket.keys()].filter((key) => key !== path);
      const above = parentOf(path);
      const vanishes = above !== '' && !without.some((key) => key.startsWith(`${above}/`));
      if (!this.bucket.has(path) || vanishes) return false;
      this.bucket.delete(path);
    } else {
      if (this.walk(path) !== 'ok' || this.isDirectory(path)) return false;
      this.bucket.set(path, bytes);
    }
    for (const content of this.#unlinked) if (content.remainsAt === path) content.stale = true;
    const content = this.files.get(path);
    if (content !== undefined) {
      content.stale = true;
      if (!content.dirty) this.detach(content);
    }
    return true;
  }
}

function fitted(based: Uint8Array, bytes: number): Uint8Array {
  const other = new Uint8Array(bytes);
  other.set(based.subarray(0, bytes));
  return other;
}

export function parentOf(path: string): string {
  return path.split('/').slice(0, -1).join('/');
}
