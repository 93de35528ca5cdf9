/**
 * struct stat from what is known: a version of an object, local content, what its metadata tells
 * and what programs set. Who sets something sees it at once; it goes to the bucket with the next
 * upload, or by a copy of its own a little later (`attribute-saver.ts`). Times hold for one version
 * only, so that a foreign change shows.
 */
import type { ObjectVersion } from '../store/object-store.ts';
import {
  type AttributeIndex,
  AttributeRecords,
  childId,
  holdsFor,
  kindOf,
} from './attribute-records.ts';
import { type AttributeDefaults, AttributeView, LINK_MODE } from './attribute-view.ts';
import type { AttributeChanges, Attributes, DeviceNumber, FileType } from './filesystem.ts';
import {
  type DirectoryNode,
  type FileKind,
  type FileNode,
  type Node,
  type Overrides,
} from './nodes.ts';
import {
  decodeMetadata,
  encodeMetadata,
  type Metadata,
  othersOf,
  type ToldAttributes,
  tellsSame,
  type Xattrs,
} from './object-metadata.ts';

export type { AttributeIndex } from './attribute-records.ts';

export interface AttributeStoreOptions extends AttributeDefaults {
  readonly index?: AttributeIndex | undefined;
  /** What metadata tells is what counts, and nothing is taken over from one version to the next. */
  readonly posix?: boolean | undefined;
  /** Hears of what the bucket does not know yet and no upload will bring. */
  readonly onUnsaved?: ((node: Node) => void) | undefined;
}

/** Who makes a file. */
export interface Maker {
  readonly uid: number;
  readonly gid: number;
}

/** What a new name is to be. */
export interface NewAttributes {
  readonly type: FileType;
  readonly mode: number;
  readonly device?: DeviceNumber | undefined;
  /** Of a symbolic link. */
  readonly target?: Uint8Array | undefined;
}

/** Metadata of an upload, and what it tells. */
interface Sent {
  readonly metadata: Metadata;
  readonly told: ToldAttributes;
  /** Metadata of strangers that went along. */
  readonly others: Metadata | undefined;
}

/** Metadata as the bucket has it with one version. */
interface Stored {
  readonly etag: string;
  readonly metadata: Metadata;
}

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const CAPABILITY = 'security.capability';

/** All that metadata tells. */
const fields = [
  ...(['type', 'mode', 'uid', 'gid', 'mtimeMs', 'ctimeMs'] as const),
  ...(['atimeMs', 'device', 'target', 'xattrs'] as const),
] as const;

/** What the bucket tells of a file is right until somebody sets it here. */
const inheritable = ['mode', 'uid', 'gid', 'mtimeMs', 'atimeMs', 'xattrs'] as const;

export class AttributeStore {
  readonly records: AttributeRecords;
  readonly posix: boolean;
  readonly #options: AttributeStoreOptions;
  readonly #view: AttributeView;
  readonly #stored = new WeakMap<Node, Stored>();
  /** What the latest upload of a file was given, and what was known of it then. */
  readonly #sent = new WeakMap<Node, Sent>();

  constructor(options: AttributeStoreOptions) {
    this.#options = options;
    this.posix = options.posix === true;
    this.records = new AttributeRecords(options.index);
    this.#view = new AttributeView(this.records, options, this.posix);
  }

  of(node: Node): Attributes {
    return this.#view.of(node);
  }

  /** What the object of a name is, as far as is known. */
  kindAt(parent: DirectoryNode, name: string, version: ObjectVersion): FileKind {
    if (this.records.isEmpty) return 'file';
    return kindOf(this.records.at(childId(parent, name, 'file')), version);
  }

  /** Mode and owner of what `by` makes in `parent`, where the set-group-id bit is inherited. */
  ofNew(parent: DirectoryNode, { type, mode }: NewAttributes, by: Maker): Maker & { mode: number } {
    const own = type === 'symlink' ? LINK_MODE : mode & 0o7777;
    const above = this.#view.ofDirectory(parent);
    if ((above.mode & S_ISGID) === 0) return { mode: own, uid: by.uid, gid: by.gid };
    return { mode: type === 'directory' ? own | S_ISGID : own, uid: by.uid, gid: above.gid };
  }

  /** Metadata of an object that is made with its name. */
  metadataOfNew(parent: DirectoryNode, made: NewAttributes, by: Maker, nowMs: number): Metadata {
    const { type, device } = made;
    const times = { mtimeMs: nowMs, ctimeMs: nowMs };
    const told = { type, ...this.ofNew(parent, made, by), ...times };
    return encodeMetadata(device === undefined ? told : { ...told, device }).metadata;
  }

  /** What is known of an object that was made with its name. */
  recordOfNew(
    parent: DirectoryNode,
    version: ObjectVersion,
    made: NewAttributes,
    by: Maker,
    nowMs: number,
  ): Overrides {
    const { type, device } = made;
    const times = { mtimeMs: nowMs, ctimeMs: nowMs };
    const record = { etag: version.etag, seenMs: version.modifiedMs, ...times };
    const kind = type === 'file' || type === 'directory' ? undefined : type;
    return { ...record, ...this.ofNew(parent, made, by), ...defined({ kind, device }) };
  }

  /** A program made `node`: its mode and owner, where they are not what everything has. */
  created(node: Node, mode: number, by: Maker, nowMs: number): void {
    const { uid, gid, fileMode, directoryMode } = this.#options;
    const usual = node.type === 'file' ? fileMode : directoryMode;
    const { parent, type } = node;
    const made = parent === undefined ? { ...by, mode } : this.ofNew(parent, { type, mode }, by);
    const isUsual = made.mode === usual && made.uid === uid && made.gid === gid;
    // Also where it says nothing yet: what has none is looked for again and again.
    const record = this.#versioned(node);
    if (type === 'directory') record.seenMs = nowMs;
    if (!isUsual) Object.assign(record, { mode: made.mode, uid: made.uid, gid: made.gid });
    if (!isUsual || type === 'directory') this.records.keep(node);
  }

  /** Applies what setattr asks for, except the size. */
  change(node: Node, changes: AttributeChanges, nowMs: number): void {
    const before = this.of(node);
    const record = this.#versioned(node);
    if (changes.mode !== undefined) record.mode = changes.mode & 0o7777;
    if (changes.uid !== undefined) record.uid = changes.uid;
    if (changes.gid !== undefined) record.gid = changes.gid;
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
    const after = this.of(node);
    const isNews = (['mode', 'uid', 'gid', 'mtimeMs'] as const).some(
      (field) => after[field] !== before[field],
    );
    if (isNews) this.#changed(node);
  }

  /** Sets times of the present version of `node`. */
  setTimes(node: Node, times: Pick<Overrides, 'atimeMs' | 'mtimeMs' | 'ctimeMs'>): void {
    Object.assign(this.#versioned(node), times);
    if (node.type === 'file' && times.mtimeMs !== undefined && node.staged !== undefined) {
      node.staged.mtimeMs = times.mtimeMs;
    }
    this.records.keep(node);
  }

  /** A name in `directory` was made, removed or changed its place. */
  entriesChanged(directory: DirectoryNode, nowMs: number): void {
    directory.changedMs = nowMs;
    Object.assign(this.records.make(directory), { mtimeMs: nowMs, ctimeMs: nowMs });
    this.records.keep(directory);
  }

  xattrsOf(node: Node): Xattrs | undefined {
    const record = this.records.of(node);
    return node.type === 'directory' || holdsFor(record, node.version) ? record?.xattrs : undefined;
  }

  /** Whether `xattrs` find room beside what else metadata of `node` must hold. */
  hasRoomFor(node: Node, xattrs: Xattrs): boolean {
    const { others } = this.records.of(node) ?? {};
    return !encodeMetadata({ ...this.#told(node), xattrs }, others).leftOut.includes('xattr');
  }

  setXattrs(node: Node, xattrs: Xattrs, nowMs: number): void {
    this.#versioned(node).xattrs = xattrs;
    this.setTimes(node, { ctimeMs: nowMs });
    this.#changed(node);
  }

  /** The target of a link, as far as it is known. */
  targetOf(node: FileNode): string | undefined {
    return this.#view.timed(node)?.target;
  }

  /** Keeps the target of a link, which was read of its object. */
  readTarget(node: FileNode, target: string): void {
    this.#versioned(node).target = target;
    this.records.keep(node);
  }

  /**
   * Metadata for an upload of `node`. Of a file that is still being written the time of its last
   * change is not told: who reads it takes the object's.
   */
  metadataOf(
    node: FileNode,
    { isGrowing = false }: { readonly isGrowing?: boolean } = {},
  ): Metadata {
    const { others } = this.records.of(node) === undefined ? {} : this.#versioned(node);
    const told = this.#told(node);
    if (isGrowing) {
      delete told.mtimeMs;
      delete told.ctimeMs;
    }
    const { metadata } = encodeMetadata(told, others);
    this.#sent.set(node, { metadata, told, others });
    return metadata;
  }

  /** Metadata that `node` should have in the bucket, where it has `present`: what nobody has set stays. */
  wanted(node: Node, present: Metadata): Metadata {
    const record: Overrides = this.records.of(node) ?? {};
    const before = decodeMetadata(present);
    const told = this.#told(node);
    const isOther = told.type === 'file' && before.type !== 'directory';
    for (const field of inheritable) {
      if (record[field] === undefined) Object.assign(told, defined({ [field]: before[field] }));
    }
    if (isOther) Object.assign(told, defined({ type: before.type, device: before.device }));
    return encodeMetadata(told, othersOf(present)).metadata;
  }

  /** After content has become the version `node.version`: its times stay as they were shown. */
  uploaded(
    node: FileNode,
    mtimeMs: number,
    sent: Metadata | undefined = this.#sent.get(node)?.metadata,
  ): void {
    const record = this.records.make(node);
    const isTimeSet = record.mtimeMs === mtimeMs;
    record.etag = node.version?.etag ?? '';
    record.mtimeMs = mtimeMs;
    record.ctimeMs = Math.max(node.staged?.changedMs ?? 0, record.ctimeMs ?? 0);
    delete record.unsaved;
    if (sent !== undefined) this.storedAs(node, node.version, sent);
    this.records.keep(node);
    if (sent === undefined || this.#tellsAllOf(node, sent)) return;
    const wanted = this.wanted(node, sent);
    // A time that no program has set is close enough to the object's.
    const timeless = isTimeSet ? {} : { mtime: '' };
    const isSame = tellsSame({ ...sent, ...timeless }, { ...wanted, ...timeless });
    if (!isSame) this.#changed(node);
  }

  /** Whether nothing of `node` has changed since its upload was given `metadata`. */
  #tellsAllOf(node: FileNode, metadata: Metadata): boolean {
    const sent = this.#sent.get(node);
    if (sent?.metadata !== metadata) return false;
    const { told, others } = sent;
    const now = this.#told(node);
    return (
      others === this.records.of(node)?.others && fields.every((one) => told[one] === now[one])
    );
  }

  /** `version` of `node` is in the bucket with this metadata. */
  storedAs(node: Node, version: ObjectVersion | undefined, metadata: Metadata): void {
    if (version === undefined) return;
    this.#stored.set(node, { etag: version.etag, metadata });
    this.records.make(node).seenMs = version.modifiedMs;
  }

  /** Metadata of the version `etag` of `node` in the bucket; undefined: it must be asked for. */
  storedWith(node: Node, etag: string | undefined): Metadata | undefined {
    const stored = this.#stored.get(node);
    return stored !== undefined && stored.etag === etag ? stored.metadata : undefined;
  }

  /** The bucket has all that is known of `node`. */
  saved(node: Node): void {
    const record = this.records.of(node);
    if (record !== undefined) delete record.unsaved;
  }

  /** What a copy of `node` should get, where the bucket does not know that yet but we know the rest. */
  forCopy(node: FileNode): { readonly metadata?: Metadata } {
    const { unsaved } = this.records.of(node) ?? {};
    const present = this.storedWith(node, node.version?.etag);
    return unsaved !== true || present === undefined
      ? {}
      : { metadata: this.wanted(node, present) };
  }

  /** `copy` is what `before` was, and has its metadata unless it got `metadata`. */
  became(node: FileNode, before: ObjectVersion, copy: ObjectVersion, metadata?: Metadata): void {
    const stored = metadata ?? this.storedWith(node, before.etag);
    const record = this.records.make(node);
    if (record.etag !== before.etag) this.#clear(record);
    // A copy does not change when the content was written.
    record.mtimeMs ??= before.modifiedMs;
    record.etag = copy.etag;
    if (record.seenMs !== undefined) record.seenMs = copy.modifiedMs;
    if (stored !== undefined) this.storedAs(node, copy, stored);
    if (metadata !== undefined) delete record.unsaved;
    this.records.keep(node);
  }

  /** A write or chown takes setuid, setgid and capabilities away, as HANDLE_KILLPRIV_V2 leaves to us. */
  dropPrivileges(node: Node): void {
    const record = this.records.of(node);
    if (record === undefined || node.type !== 'file') return;
    if (record.xattrs?.has(CAPABILITY) === true) {
      record.xattrs = new Map([...record.xattrs].filter(([name]) => name !== CAPABILITY));
    }
    if (record.mode === undefined) return;
    const setgid = (record.mode & S_IXGRP) === 0 ? 0 : S_ISGID;
    const mode = record.mode & ~(S_ISUID | setgid);
    if (mode === record.mode) return;
    record.mode = mode;
    this.records.keep(node);
  }

  /** Call before and after a node moves: `take` under the old key, `give` under the new. */
  take(node: Node): void {
    this.records.take(node);
  }

  give(node: Node): void {
    this.records.give(node);
  }

  #changed(node: Node): void {
    // The upload of what is written will bring it.
    if (node.removed || (node.type === 'file' && isToBeUploaded(node))) return;
    this.records.make(node).unsaved = true;
    this.#options.onUnsaved?.(node);
  }

  /** The record of `node`, without what it says of other versions than the present one. */
  #versioned(node: Node): Overrides {
    const record = this.records.make(node);
    if (node.type === 'directory') return record;
    const etag = node.version?.etag ?? '';
    if (record.etag === etag) return record;
    this.#clear(record);
    record.etag = etag;
    return record;
  }

  /** Takes away what is told of another version. */
  #clear(record: Overrides): void {
    const { mode, uid, gid } = record;
    const kept = this.posix ? {} : { mode, uid, gid };
    for (const field of Object.keys(record)) Reflect.deleteProperty(record, field);
    Object.assign(record, defined(kept));
  }

  #told(node: Node): { -readonly [Name in keyof ToldAttributes]: ToldAttributes[Name] } {
    const { type, mode, uid, gid, mtimeMs, ctimeMs, device } = this.of(node);
    const record = this.records.of(node);
    const xattrs = this.xattrsOf(node);
    const atimeMs = node.type === 'file' ? this.#view.timed(node)?.atimeMs : record?.atimeMs;
    return {
      ...{ type, mode, uid, gid, mtimeMs, ctimeMs },
      ...defined({ atimeMs, device, xattrs }),
    };
  }
}

/** Whether an upload is to come that takes attributes along. */
function isToBeUploaded({ staged, version }: FileNode): boolean {
  return version === undefined || staged?.dirty === true;
}

function defined<T extends object>(fields: T): Present<T> {
  const there: Present<T> = {};
  for (const name in fields) {
    const value = fields[name];
    if (value !== undefined) there[name] = value as Exclude<T[typeof name], undefined>;
  }
  return there;
}

type Present<T> = { -readonly [Name in keyof T]?: Exclude<T[Name], undefined> };
