/**
 * struct stat from what is known: a version of an object, local content, and what programs set.
 * What programs set is kept by key, since objects have no place for it here: in memory, and in an
 * index on disk if there is one. Times hold for one version only, so that a foreign change shows.
 */
import { LRUCache } from 'lru-cache';
import type { AttributeChanges, Attributes } from './filesystem.ts';
import {
  type DirectoryNode,
  type FileNode,
  filePlaceOf,
  isOvertaken,
  type Node,
  type Overrides,
  placeOf,
} from './nodes.ts';

export interface AttributeDefaults {
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly directoryMode: number;
}

/** Where attributes are kept beyond the mount's life, by bucket and key. */
export interface AttributeIndex {
  attributes(id: string): Overrides | undefined;
  /** Undefined: there are none any more. */
  setAttributes(id: string, overrides: Overrides | undefined): void;
}

export interface AttributeStoreOptions extends AttributeDefaults {
  readonly index?: AttributeIndex | undefined;
}

/** Most files whose attributes are remembered; about 200 bytes each. */
const MOST_OVERRIDES = 100_000;

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;

export class AttributeStore {
  readonly #defaults: AttributeDefaults;
  readonly #index: AttributeIndex | undefined;
  readonly #overrides = new LRUCache<string, Overrides>({ max: MOST_OVERRIDES });

  constructor(options: AttributeStoreOptions) {
    this.#defaults = options;
    this.#index = options.index;
  }

  of(node: Node): Attributes {
    return node.type === 'file' ? this.#ofFile(node) : this.#ofDirectory(node);
  }

  /** A program made `node`: its mode and owner, where they are not what everything has. */
  created(node: Node, mode: number, by: { readonly uid: number; readonly gid: number }): void {
    const { uid, gid, fileMode, directoryMode } = this.#defaults;
    const usual = node.type === 'file' ? fileMode : directoryMode;
    if ((mode & 0o7777) === usual && by.uid === uid && by.gid === gid) return;
    Object.assign(this.#make(node), { mode: mode & 0o7777, uid: by.uid, gid: by.gid });
    this.#keep(node);
  }

  /** Applies what setattr asks for, except the size. */
  change(node: Node, changes: AttributeChanges, nowMs: number): void {
    const overrides = this.#make(node);
    if (changes.mode !== undefined) overrides.mode = changes.mode & 0o7777;
    if (changes.uid !== undefined) overrides.uid = changes.uid;
    if (changes.gid !== undefined) overrides.gid = changes.gid;
    if (changes.mode === undefined && (changes.uid ?? changes.gid) !== undefined) {
      this.dropPrivileges(node);
    }
    const mtimeMs = changes.mtimeMs === 'now' ? nowMs : changes.mtimeMs;
    const atimeMs = changes.atimeMs === 'now' ? nowMs : changes.atimeMs;
    this.setTimes(node, {
      ctimeMs: nowMs,
      ...(mtimeMs === undefined ? {} : { mtimeMs }),
      ...(atimeMs === undefined ? {} : { atimeMs }),
    });
  }

  /** Sets times of the present version of `node`. */
  setTimes(node: Node, times: Pick<Overrides, 'atimeMs' | 'mtimeMs' | 'ctimeMs'>): void {
    const overrides = this.#make(node);
    const etag = node.type === 'file' ? (node.version?.etag ?? '') : '';
    if (overrides.etag !== etag) {
      overrides.etag = etag;
      delete overrides.atimeMs;
      delete overrides.mtimeMs;
      delete overrides.ctimeMs;
    }
    Object.assign(overrides, times);
    if (node.type === 'file' && times.mtimeMs !== undefined && node.staged !== undefined) {
      node.staged.mtimeMs = times.mtimeMs;
    }
    this.#keep(node);
  }

  /** After content has become the version `node.version`: its times stay as they were shown. */
  uploaded(node: FileNode, mtimeMs: number): void {
    const overrides = this.#make(node);
    overrides.etag = node.version?.etag ?? '';
    overrides.mtimeMs = mtimeMs;
    overrides.ctimeMs = Math.max(node.staged?.changedMs ?? 0, overrides.ctimeMs ?? 0);
    this.#keep(node);
  }

  /** A write or chown takes setuid and setgid away, as HANDLE_KILLPRIV_V2 leaves to us. */
  dropPrivileges(node: Node): void {
    const overrides = this.#find(node);
    if (overrides?.mode === undefined || node.type !== 'file') return;
    const setgid = (overrides.mode & S_IXGRP) === 0 ? 0 : S_ISGID;
    const mode = overrides.mode & ~(S_ISUID | setgid);
    if (mode === overrides.mode) return;
    overrides.mode = mode;
    this.#keep(node);
  }

  /** Call before and after a node moves: `take` under the old key, `give` under the new. */
  take(node: Node): void {
    this.#find(node);
    const id = idOf(node);
    this.#overrides.delete(id);
    this.#index?.setAttributes(id, undefined);
  }

  give(node: Node): void {
    if (node.overrides === undefined) return;
    this.#overrides.set(idOf(node), node.overrides);
    this.#keep(node);
  }

  #ofFile(node: FileNode): Attributes {
    const { version } = node;
    const staged = isOvertaken(node) ? undefined : node.staged;
    const overrides = this.#find(node);
    const timed = overrides?.etag === (version?.etag ?? '') ? overrides : undefined;
    const mtimeMs = staged?.mtimeMs ?? timed?.mtimeMs ?? version?.modifiedMs ?? 0;
    return {
      ino: inoOf(idOf(node)),
      type: 'file',
      mode: overrides?.mode ?? this.#defaults.fileMode,
      nlink: node.removed ? 0 : 1,
      uid: overrides?.uid ?? this.#defaults.uid,
      gid: overrides?.gid ?? this.#defaults.gid,
      bytes: staged?.bytes ?? version?.bytes ?? 0,
      atimeMs: timed?.atimeMs ?? mtimeMs,
      mtimeMs,
      ctimeMs: Math.max(timed?.ctimeMs ?? version?.modifiedMs ?? 0, staged?.changedMs ?? 0),
    };
  }

  #ofDirectory(node: DirectoryNode): Attributes {
    const overrides = this.#find(node);
    const mtimeMs = Math.max(overrides?.mtimeMs ?? 0, node.changedMs);
    return {
      ino: inoOf(idOf(node)),
      type: 'directory',
      mode: overrides?.mode ?? this.#defaults.directoryMode,
      // Says "not counted" to find(1) and others, as btrfs does.
      nlink: node.removed ? 0 : 1,
      uid: overrides?.uid ?? this.#defaults.uid,
      gid: overrides?.gid ?? this.#defaults.gid,
      bytes: 0,
      atimeMs: overrides?.atimeMs ?? mtimeMs,
      mtimeMs: overrides?.mtimeMs ?? mtimeMs,
      ctimeMs: Math.max(overrides?.ctimeMs ?? 0, node.changedMs),
    };
  }

  #find(node: Node): Overrides | undefined {
    if (node.removed || node.overrides !== undefined) return node.overrides;
    const id = idOf(node);
    node.overrides = this.#overrides.get(id) ?? this.#index?.attributes(id);
    return node.overrides;
  }

  #keep(node: Node): void {
    if (node.removed || node.overrides === undefined) return;
    this.#index?.setAttributes(idOf(node), node.overrides);
  }

  #make(node: Node): Overrides {
    const found = this.#find(node);
    if (found !== undefined) return found;
    node.overrides = {};
    if (!node.removed) this.#overrides.set(idOf(node), node.overrides);
    return node.overrides;
  }
}

/** st_ino of names in `parent`, without a node for each. */
export function childInos(parent: DirectoryNode): (name: string, type: Node['type']) => number {
  const directory = idOf(parent);
  return (name, type) => inoOf(`${directory}${name}${type === 'directory' ? '/' : ''}`);
}

/** What st_ino is made of: the bucket and the key; an unlinked file has its own. */
function idOf(node: Node): string {
  if (node.removed) return `\0${node.inode}`;
  if (node.type === 'directory' && node.top === undefined && node.parent === undefined) return '/';
  const { store, key } = node.type === 'file' ? filePlaceOf(node) : placeOf(node);
  return `/${store.bucket}/${key}`;
}

/**
 * A hash of 53 bits, never 0: the same for a key on every mount and every machine. Two lanes of
 * FNV-1a over UTF-16 units with different offsets, each mixed at the end so that all bits count.
 */
export function inoOf(id: string): number {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let at = 0; at < id.length; at += 1) {
    const unit = id.charCodeAt(at);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ (unit + at), 0x85ebca6b);
  }
  low = mix(low ^ high);
  high = mix(high + low);
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0) || 1;
}

function mix(lane: number): number {
  const once = Math.imul(lane ^ (lane >>> 16), 0x7feb352d);
  const twice = Math.imul(once ^ (once >>> 15), 0x846ca68b);
  return twice ^ (twice >>> 16);
}
