/**
 * Extended attributes, xattr(7): kept with the other attributes, and read from them. Who may do what
 * is the kernel's to check (`user.*` on files and directories by their owners, `trusted.*` by root).
 * Some more can be read by name that tell of the object: `user.wire.key` and so on. They are in no
 * list, so that no program tries to copy them.
 */
import type { Clock } from '../lib/clock.ts';
import type { AttributeReader } from './attribute-reader.ts';
import { type AttributeStore } from './attributes.ts';
import { FsError } from './errno.ts';
import type { MaybePromise, XattrFlags } from './filesystem.ts';
import { contentPlaceOf, isBucketList, type Node, placeOf } from './nodes.ts';
import { isXattrName, type Xattrs } from './object-metadata.ts';
import { alreadyThere } from './refusals.ts';

export interface XattrOperationsParts {
  readonly attributes: AttributeStore;
  readonly reader: AttributeReader;
  readonly clock: Clock;
}

/**
 * What other parts of a system keep for themselves: to say "not supported" at once makes `ls` stop
 * asking for each file (SELinux' labels), and a copy would mean nothing elsewhere.
 */
const foreign = /^(?:system\.|security\.(?:selinux|ima|evm|apparmor|SMACK64))/;
const ofObject = 'user.wire.';
const CAPABILITY = Buffer.from('security.capability');

export class XattrOperations {
  readonly #parts: XattrOperationsParts;

  constructor(parts: XattrOperationsParts) {
    this.#parts = parts;
  }

  /** Answered at once unless it is asked of the store: the kernel waits with a write for this. */
  get(node: Node, bytes: Uint8Array, signal: () => AbortSignal): MaybePromise<Uint8Array> {
    // The kernel asks for this one at the first write of each file: hardly any has it.
    const xattrs = this.#parts.attributes.xattrsOf(node);
    if (xattrs === undefined && CAPABILITY.equals(bytes)) throw noSuchAttribute;
    const name = nameOf(bytes);
    if (name.startsWith(ofObject)) return this.#ofObject(node, name, signal);
    const value = xattrs?.get(name);
    if (value === undefined) throw noSuchAttribute;
    return value;
  }

  list(node: Node): readonly Uint8Array[] {
    const names = this.#parts.attributes.xattrsOf(node)?.keys() ?? [];
    return [...names].map((name) => Buffer.from(name, 'utf8'));
  }

  /** @throws FsError EEXIST, ENODATA as `flags` say; ENOSPC when metadata has no room for it. */
  async set(
    node: Node,
    bytes: Uint8Array,
    value: Uint8Array,
    flags: XattrFlags,
    signal: AbortSignal,
  ): Promise<void> {
    const name = writableName(bytes);
    const before = await this.#known(node, signal);
    if (flags.create && before.has(name)) throw alreadyThere;
    if (flags.replace && !before.has(name)) throw noSuchAttribute;
    const after = new Map(before).set(name, new Uint8Array(value));
    const { attributes, clock } = this.#parts;
    if (!attributes.hasRoomFor(node, after)) throw noRoom;
    attributes.setXattrs(node, after, clock.now());
  }

  async remove(node: Node, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const name = writableName(bytes);
    const after = new Map(await this.#known(node, signal));
    if (!after.delete(name)) throw noSuchAttribute;
    const { attributes, clock } = this.#parts;
    attributes.setXattrs(node, after, clock.now());
  }

  /** All there are: what an object has is asked for before it is replaced. */
  async #known(node: Node, signal: AbortSignal): Promise<Xattrs> {
    const { attributes, reader } = this.#parts;
    await reader.know(node, () => signal);
    return attributes.xattrsOf(node) ?? noXattrs;
  }

  #ofObject(node: Node, name: string, signal: () => AbortSignal): MaybePromise<Uint8Array> {
    const what = name.slice(ofObject.length);
    if (node.type === 'directory' && isBucketList(node)) throw noSuchAttribute;
    const { store, key } = node.type === 'file' ? contentPlaceOf(node) : placeOf(node);
    if (what === 'bucket') return Buffer.from(store.bucket);
    if (what === 'key') return Buffer.from(key);
    if (node.type === 'directory' || node.version === undefined) throw noSuchAttribute;
    if (what === 'etag') return Buffer.from(node.version.etag);
    if (what !== 'content-type') throw noSuchAttribute;
    return store.head(key, signal()).then(({ contentType }) => {
      if (contentType === undefined) throw noSuchAttribute;
      return Buffer.from(contentType);
    });
  }
}

const noXattrs: Xattrs = new Map();
const noSuchAttribute = new FsError('ENODATA', 'use an attribute that is not there');
const unsupported = new FsError('ENOTSUP', 'use an attribute of this kind');
const readOnlyAttribute = new FsError('EPERM', 'change what the store tells of an object');
const noRoom = new FsError('ENOSPC', 'keep more than 2 KiB of attributes with an object');

/** @throws FsError ENOTSUP for names that are not kept. */
function nameOf(bytes: Uint8Array): string {
  const name = Buffer.from(bytes).toString('utf8');
  if (!isXattrName(name) || foreign.test(name)) throw unsupported;
  return name;
}

/** @throws FsError EPERM for what only the store sets. */
function writableName(bytes: Uint8Array): string {
  const name = nameOf(bytes);
  if (name.startsWith(ofObject)) throw readOnlyAttribute;
  // Two names that differ in bytes that are no text would become one.
  if (!Buffer.from(name, 'utf8').equals(bytes)) throw unsupported;
  return name;
}
