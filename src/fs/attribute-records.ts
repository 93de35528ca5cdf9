/**
 * What is known of the attributes of files and directories, by bucket and key: in memory for the
 * latest, and in an index on disk if there is one. A node that is made anew finds its record again.
 */
import { LRUCache } from 'lru-cache';
import { childDirectory, childKey } from '../store/keys.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { Place } from './directory-source.ts';
import {
  type DirectoryNode,
  type FileKind,
  filePlaceOf,
  type Node,
  type Overrides,
  placeOf,
} from './nodes.ts';
import { decodeMetadata, type Metadata, othersOf } from './object-metadata.ts';

/** Where attributes are kept beyond the mount's life, by bucket and key. */
export interface AttributeIndex {
  /** Whether there are attributes of anything. */
  readonly hasAttributes: boolean;
  attributes(id: string): Overrides | undefined;
  /** Undefined: there are none any more. */
  setAttributes(id: string, overrides: Overrides | undefined): void;
}

/** Most files whose attributes are remembered; about 200 bytes each. */
const MOST_RECORDS = 100_000;

/**
 * How far the time that an answer tells of an object may be from the one in a listing: whole
 * seconds, or the end of a request where the other is its start.
 */
const SAME_TIME_MS = 2000;

export class AttributeRecords {
  readonly #index: AttributeIndex | undefined;
  readonly #records = new LRUCache<string, Overrides>({ max: MOST_RECORDS });

  constructor(index: AttributeIndex | undefined) {
    this.#index = index;
  }

  /** Whether nothing is known of anything: then no keys need be made to ask. */
  get isEmpty(): boolean {
    return this.#records.size === 0 && this.#index?.hasAttributes !== true;
  }

  of(node: Node): Overrides | undefined {
    if (node.removed || node.overrides !== undefined || this.isEmpty) return node.overrides;
    node.overrides = this.at(idOf(node));
    return node.overrides;
  }

  /** The record of `node`; one that says nothing if there was none. */
  make(node: Node): Overrides {
    const found = this.of(node);
    if (found !== undefined) return found;
    node.overrides = {};
    if (!node.removed) this.#records.set(idOf(node), node.overrides);
    return node.overrides;
  }

  /** Call after a change of what `make` has given. */
  keep(node: Node): void {
    if (node.removed || node.overrides === undefined) return;
    this.#index?.setAttributes(idOf(node), node.overrides);
  }

  at(id: string): Overrides | undefined {
    const record = this.#records.get(id);
    if (record !== undefined) return record;
    const kept = this.#index?.attributes(id);
    if (kept !== undefined) this.#records.set(id, kept);
    return kept;
  }

  /** From now on it is so, also for a node that has the record already. */
  put(id: string, record: Overrides): void {
    const present = this.#records.get(id);
    if (present === undefined) this.#records.set(id, record);
    else become(present, record);
    this.#index?.setAttributes(id, record);
  }

  /** Call before and after a node moves: `take` under the old key, `give` under the new. */
  take(node: Node): void {
    this.of(node);
    const id = idOf(node);
    this.#records.delete(id);
    this.#index?.setAttributes(id, undefined);
  }

  give(node: Node): void {
    if (node.overrides === undefined) return;
    this.#records.set(idOf(node), node.overrides);
    this.keep(node);
  }
}

/** Makes `record` say what `other` does, and nothing else. */
export function become(record: Overrides, other: Overrides): void {
  for (const field of Object.keys(record)) Reflect.deleteProperty(record, field);
  Object.assign(record, other);
}

/** Whether what `record` says of one version holds for this one. */
export function holdsFor(
  record: Overrides | undefined,
  version: ObjectVersion | undefined,
): boolean {
  return record?.etag === (version?.etag ?? '');
}

/** Whether `record` also tells all that the metadata of `version` does. */
export function isRead(record: Overrides | undefined, version: ObjectVersion): boolean {
  if (record?.etag !== version.etag) return false;
  if (record.unsaved === true) return true;
  const { seenMs } = record;
  return seenMs !== undefined && Math.abs(seenMs - version.modifiedMs) <= SAME_TIME_MS;
}

/** What metadata of `version` tells, as a record. */
export function recordOf(version: ObjectVersion, metadata: Metadata): Overrides {
  const { type, ...told } = decodeMetadata(metadata);
  const others = othersOf(metadata);
  const record: Overrides = { ...told, etag: version.etag, seenMs: version.modifiedMs };
  if (Object.keys(others).length > 0) record.others = others;
  // A key without a slash at its end is a directory to nobody.
  if (type !== undefined && type !== 'file' && type !== 'directory') record.kind = type;
  return record;
}

/** What `record` says that the object is. */
export function kindOf(
  record: Overrides | undefined,
  version: ObjectVersion | undefined,
): FileKind {
  return holdsFor(record, version) ? (record?.kind ?? 'file') : 'file';
}

/** What a record is kept by, and st_ino is made of: the bucket and the key; unlinked files have their own. */
export function idOf(node: Node): string {
  if (node.removed) return `\0${node.inode}`;
  if (node.type === 'directory' && node.top === undefined && node.parent === undefined) return '/';
  return idAt(node.type === 'file' ? filePlaceOf(node) : placeOf(node));
}

/** The same of a file or a directory, which has a slash at its end. */
export function idAt({ store, key }: Place): string {
  return `/${store.bucket}/${key}`;
}

/** The same of a name in `parent`. */
export function childId(parent: DirectoryNode, name: string, type: Node['type']): string {
  const { store, key } = placeOf(parent);
  return idAt({ store, key: (type === 'file' ? childKey : childDirectory)(key, name) });
}
