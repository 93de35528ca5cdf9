/**
 * A file that lines are appended to, for its owner's eyes only: 0600, never through a link. When it
 * has grown to `maxBytes` it is renamed to `.1`, what was `.1` to `.2`, and so on. Several processes
 * may write to it: one of them renames, and the others find that out and go over to the new one.
 *
 * A line is written at once and whole: after a crash it is there, and no other runs through it.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { loadAddon } from '../lib/native-addon.ts';

export interface LineFileLimits {
  readonly maxBytes: number;
  /** Older files that are kept. */
  readonly older: number;
}

interface OpenFile {
  readonly descriptor: number;
  /** Which file it is; undefined for what is no file (a device, a pipe), and is never exchanged. */
  readonly inode: number | undefined;
}

const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** Where a file is that was `path`, `age` renamings ago. */
export function olderFileOf(path: string, age: number): string {
  return `${path}.${age}`;
}

export class LineFile implements Disposable {
  readonly path: string;
  readonly #limits: LineFileLimits;
  #file: OpenFile;
  /** The end of a line is missing: the disk was full. */
  #torn = false;

  /** @throws the system's error. */
  constructor(path: string, limits: LineFileLimits) {
    this.path = path;
    this.#limits = limits;
    this.#file = open(path);
  }

  /** @throws the system's error. */
  write(line: string): void {
    this.#file = current(this.path, this.#file, this.#limits);
    const text = Buffer.from(this.#torn ? `\n${line}\n` : `${line}\n`);
    const bytes = writeSync(this.#file.descriptor, text);
    this.#torn = bytes > 0 && bytes < text.length;
    if (bytes < text.length) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
  }

  [Symbol.dispose](): void {
    closeSync(this.#file.descriptor);
  }
}

function open(path: string): OpenFile {
  const descriptor = openSync(path, flags, 0o600);
  const facts = fstatSync(descriptor);
  if (!facts.isFile()) return { descriptor, inode: undefined };
  // One that was there may be readable by others.
  const isOurs = facts.uid === process.geteuid?.();
  if (isOurs && (facts.mode & 0o077) !== 0) fchmodSync(descriptor, 0o600);
  return { descriptor, inode: facts.ino };
}

/** The file that `path` names now: `file`, or the one that took its place. */
function current(path: string, file: OpenFile, limits: LineFileLimits): OpenFile {
  if (file.inode === undefined) return file;
  const named = lstatSync(path, { throwIfNoEntry: false });
  if (isSame(named, file) && named.size <= limits.maxBytes) return file;
  try {
    if (isSame(named, file)) setAside(path, file, limits.older);
    const next = open(path);
    closeSync(file.descriptor);
    return next;
  } catch {
    // Somebody put a link there, or took the folder away: the old one still takes lines.
    return file;
  }
}

function isSame(named: Stats | undefined, { inode }: OpenFile): named is Stats {
  return named?.ino === inode;
}

/** By one process at a time: a second one would put the new file in the place of the old one. */
function setAside(path: string, file: OpenFile, older: number): void {
  const lock = lockOn(path);
  if (lock === 'taken') return;
  try {
    if (!isSame(lstatSync(path, { throwIfNoEntry: false }), file)) return;
    for (let age = older - 1; age > 0; age -= 1) {
      const younger = olderFileOf(path, age);
      const isThere = lstatSync(younger, { throwIfNoEntry: false }) !== undefined;
      if (isThere) renameSync(younger, olderFileOf(path, age + 1));
    }
    renameSync(path, olderFileOf(path, 1));
  } finally {
    lock?.release();
  }
}

/** What of the addon is used here; see native/linux/lock.h. */
interface LockAddon {
  lockFile(path: string): number;
  closeDescriptor(descriptor: number): void;
}

/** Undefined where there are no locks: then two processes may meet, and lose old lines. */
function lockOn(path: string): { readonly release: () => void } | 'taken' | undefined {
  if (process.platform !== 'linux') return undefined;
  let addon: LockAddon;
  try {
    addon = loadAddon() as LockAddon;
  } catch {
    return undefined;
  }
  const descriptor = addon.lockFile(path);
  return descriptor < 0 ? 'taken' : { release: () => addon.closeDescriptor(descriptor) };
}
