/**
 * struct stat of nodes, from the version of an object, local content and records. Changes nothing.
 */
import { type AttributeRecords, holdsFor, idOf } from './attribute-records.ts';
import type { Attributes } from './filesystem.ts';
import {
  type DirectoryNode,
  type FileKind,
  type FileNode,
  isOvertaken,
  type Node,
  type Overrides,
} from './nodes.ts';
import { inoOf } from './st-ino.ts';

/** What everything has of which nobody has said otherwise. */
export interface AttributeDefaults {
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly directoryMode: number;
}

/** Of a symbolic link: nobody asks for them (symlink(7)). */
export const LINK_MODE = 0o777;

export class AttributeView {
  readonly #records: AttributeRecords;
  readonly #defaults: AttributeDefaults;
  readonly #posix: boolean;

  /** @param posix nothing is taken over from one version to the next. */
  constructor(records: AttributeRecords, defaults: AttributeDefaults, posix: boolean) {
    this.#records = records;
    this.#defaults = defaults;
    this.#posix = posix;
  }

  of(node: Node): Attributes {
    return node.type === 'file' ? this.#ofFile(node) : this.ofDirectory(node);
  }

  /** What is known of the present version. */
  timed(node: FileNode): Overrides | undefined {
    const record = this.#records.of(node);
    return holdsFor(record, node.version) ? record : undefined;
  }

  /** The record that mode and owner are read from. */
  #owned(node: FileNode): Overrides | undefined {
    return this.#posix ? this.timed(node) : this.#records.of(node);
  }

  #ofFile(node: FileNode): Attributes {
    const { version, kind } = node;
    const staged = isOvertaken(node) ? undefined : node.staged;
    const owned = this.#owned(node);
    const timed = this.timed(node);
    const mtimeMs = staged?.mtimeMs ?? timed?.mtimeMs ?? version?.modifiedMs ?? 0;
    const { uid, gid, fileMode } = this.#defaults;
    const attributes = {
      ino: inoOf(idOf(node)),
      type: kind,
      mode: kind === 'symlink' ? LINK_MODE : (owned?.mode ?? fileMode),
      nlink: node.removed ? 0 : 1,
      uid: owned?.uid ?? uid,
      gid: owned?.gid ?? gid,
      bytes: staged?.bytes ?? version?.bytes ?? 0,
      allocatedBytes: staged?.allocatedBytes,
      atimeMs: timed?.atimeMs ?? mtimeMs,
      mtimeMs,
      ctimeMs: Math.max(timed?.ctimeMs ?? version?.modifiedMs ?? 0, staged?.changedMs ?? 0),
    };
    return kind === 'file' ? attributes : { ...attributes, ...ofSpecial(kind, timed, attributes) };
  }

  ofDirectory(node: DirectoryNode): Attributes {
    const record = this.#records.of(node);
    const { uid, gid, directoryMode } = this.#defaults;
    const changedMs = node.changedMs === node.madeMs ? 0 : node.changedMs;
    // What happens in it after somebody has set its time counts again.
    const isNewer = changedMs > (record?.ctimeMs ?? 0);
    const mtimeMs = isNewer ? changedMs : (record?.mtimeMs ?? node.changedMs);
    return {
      ino: inoOf(idOf(node)),
      type: 'directory',
      mode: record?.mode ?? directoryMode,
      // Says "not counted" to find(1) and others, as btrfs does.
      nlink: node.removed ? 0 : 1,
      uid: record?.uid ?? uid,
      gid: record?.gid ?? gid,
      bytes: 0,
      atimeMs: record?.atimeMs ?? mtimeMs,
      mtimeMs,
      ctimeMs: Math.max(record?.ctimeMs ?? node.madeMs, changedMs),
    };
  }
}

function ofSpecial(
  kind: FileKind,
  record: Overrides | undefined,
  { bytes }: Pick<Attributes, 'bytes'>,
): Pick<Attributes, 'bytes' | 'device'> {
  if (kind === 'symlink') {
    const { target } = record ?? {};
    return { bytes: target === undefined ? bytes : Buffer.byteLength(target) };
  }
  const isDevice = kind === 'character-device' || kind === 'block-device';
  return { bytes: 0, device: isDevice ? (record?.device ?? { major: 0, minor: 0 }) : undefined };
}
