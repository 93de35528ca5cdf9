/**
 * Attributes of a file as user metadata of its object, and back. Written is what s3fs writes
 * (decimal `mode` with its type bits, `uid`, `gid`, times as seconds with a fraction, `xattr` as
 * percent-encoded JSON of base64) and rclone reads (`mtime`), and geesefs' `rdev`. Read is also what
 * gsutil, s3sync, gcsfuse, blobfuse and AWS DataSync write. Whatever else is in metadata comes from
 * strangers: it is passed over, and never an error.
 *
 * S3 takes 2 KiB of it in all. What does not fit is left out, the last of `written` first.
 */
import type { DeviceNumber, FileType } from './filesystem.ts';
import { deviceOf, deviceText, modeOf, numberOf, textOfSeconds, timeOf } from './metadata-text.ts';

/** By name, in lower case, without the store's prefix. */
export type Metadata = Readonly<Record<string, string>>;

/** Values by name, such as `user.comment`. */
export type Xattrs = ReadonlyMap<string, Uint8Array>;

/** What metadata tells of a file; what is absent it does not tell. */
export interface ToldAttributes {
  readonly type?: FileType;
  /** Permission bits, 0o7777 at most. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtimeMs?: number;
  readonly ctimeMs?: number;
  readonly atimeMs?: number;
  readonly device?: DeviceNumber;
  /** Of a symbolic link whose body does not hold it. */
  readonly target?: string;
  readonly xattrs?: Xattrs;
}

export interface EncodedMetadata {
  readonly metadata: Metadata;
  /** What did not fit. */
  readonly leftOut: readonly string[];
}

/** S3: names and values in UTF-8 (AWS, "Object metadata"); MinIO counts the prefix of names too. */
export const METADATA_BYTES = 2048;
const PREFIX_BYTES = 'x-amz-meta-'.length;

/** `mode`'s bits of the type, inode(7). */
const typeBits: Readonly<Record<FileType, number>> = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};
const S_IFMT = 0o170000;
const PERMISSIONS = 0o7777;

const types = new Map(Object.entries(typeBits).map(([type, bits]) => [bits, type as FileType]));

/** In the order of their weight. */
const written = ['mode', 'rdev', 'mtime', 'uid', 'gid', 'xattr', 'ctime', 'atime'] as const;
type Written = (typeof written)[number];

const isWritten: ReadonlySet<string> = new Set(written);

/** Longest `xattr` that is looked at, in characters: more cannot have come from S3. */
const MOST_XATTR_TEXT = 64 * 1024;
/** XATTR_NAME_MAX of limits.h */
export const XATTR_NAME_BYTES = 255;

/** The metadata of an object with these attributes; `others` are a stranger's, which stay. */
export function encodeMetadata(told: ToldAttributes, others: Metadata = {}): EncodedMetadata {
  const metadata: Record<string, string> = {};
  const leftOut: string[] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(others)) {
    if (isWritten.has(name)) continue;
    metadata[name] = value;
    bytes += bytesOf(name, value);
  }
  const values = valuesOf(told);
  for (const name of written) {
    const value = values[name];
    if (value === undefined) continue;
    if (bytes + bytesOf(name, value) > METADATA_BYTES) {
      leftOut.push(name);
      continue;
    }
    metadata[name] = value;
    bytes += bytesOf(name, value);
  }
  return { metadata, leftOut };
}

/** What `metadata` tells, whoever wrote it. */
export function decodeMetadata(metadata: Metadata): ToldAttributes {
  const told = {
    ...typeAndMode(metadata),
    uid: numberOf(first(metadata, ['uid', 'owner', 'goog-reserved-posix-uid', 'file-owner'])),
    gid: numberOf(first(metadata, ['gid', 'group', 'goog-reserved-posix-gid', 'file-group'])),
    mtimeMs: timeOf(
      first(metadata, ['mtime', 'goog-reserved-file-mtime', 'file-mtime', 'gcsfuse_mtime']),
    ),
    ctimeMs: timeOf(first(metadata, ['ctime'])),
    atimeMs: timeOf(first(metadata, ['atime', 'goog-reserved-file-atime', 'file-atime'])),
    xattrs: xattrsOf(first(metadata, ['xattr'])),
  };
  return present(told);
}

/** Of what an object has, what is not written here. */
export function othersOf(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => !isWritten.has(name)));
}

/** Whether both tell the same of what is worth a request: the times of change and access are not. */
export function tellsSame(a: Metadata, b: Metadata): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  names.delete('ctime');
  names.delete('atime');
  for (const name of names) {
    if (!Object.hasOwn(a, name) || !Object.hasOwn(b, name) || a[name] !== b[name]) return false;
  }
  return true;
}

/** Whether a request can carry it as it is: printable ASCII, as HTTP wants it. */
export function isPlain(metadata: Metadata): boolean {
  return Object.values(metadata).every((value) => /^[\x20-\x7e]*$/.test(value));
}

function valuesOf(told: ToldAttributes): Readonly<Record<Written, string | undefined>> {
  const { type = 'file', mode, uid, gid, device, xattrs } = told;
  return {
    mode: mode === undefined ? undefined : String(typeBits[type] | (mode & PERMISSIONS)),
    rdev: device === undefined ? undefined : deviceText(device),
    mtime: textOfSeconds(told.mtimeMs),
    uid: uid === undefined ? undefined : String(uid),
    gid: gid === undefined ? undefined : String(gid),
    xattr: xattrs === undefined || xattrs.size === 0 ? undefined : xattrText(xattrs),
    ctime: textOfSeconds(told.ctimeMs),
    atime: textOfSeconds(told.atimeMs),
  };
}

function typeAndMode(
  metadata: Metadata,
): Pick<{ [Name in keyof ToldAttributes]: ToldAttributes[Name] | undefined }, TypeFields> {
  const mode = modeOf(first(metadata, ['mode']), 'either') ?? octalMode(metadata);
  const target = percentDecoded(first(metadata, ['--symlink-target', 'gcsfuse_symlink_target']));
  const isLink =
    target !== undefined ||
    first(metadata, ['goog-reserved-file-is-symlink', 'is_symlink']) === 'true';
  const type = isLink ? 'symlink' : mode === undefined ? undefined : types.get(mode & S_IFMT);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    type,
    mode: mode === undefined ? undefined : mode & PERMISSIONS,
    device: isDevice ? deviceOf(first(metadata, ['rdev'])) : undefined,
    target,
  };
}

type TypeFields = 'type' | 'mode' | 'device' | 'target';

/** What gsutil, s3sync and DataSync write. */
function octalMode(metadata: Metadata): number | undefined {
  const names = ['goog-reserved-posix-mode', 'permissions', 'file-permissions'];
  return modeOf(first(metadata, names), 'octal');
}

function xattrText(xattrs: Xattrs): string {
  const values = [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  return encodeURIComponent(JSON.stringify(Object.fromEntries(values)));
}

function xattrsOf(text: string | undefined): Xattrs | undefined {
  if (text === undefined || text.length > MOST_XATTR_TEXT) return undefined;
  const values = new Map<string, Uint8Array>();
  for (const [name, value] of Object.entries(jsonOf(percentDecoded(text)))) {
    if (typeof value !== 'string' || !isXattrName(name)) continue;
    values.set(name, new Uint8Array(Buffer.from(value, 'base64')));
  }
  return values.size === 0 ? undefined : values;
}

/** A namespace, a dot and something: xattr(7). */
export function isXattrName(name: string): boolean {
  const fits = name.length <= XATTR_NAME_BYTES && Buffer.byteLength(name) <= XATTR_NAME_BYTES;
  const isName = /^(?:user|trusted|security|system)\.[^\0]+$/u.test(name);
  // Half a character could not be written again.
  return fits && isName && !/\p{Surrogate}/u.test(name);
}

function jsonOf(text: string | undefined): object {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

/** As it is where it is not encoded. */
function percentDecoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The first of `names` that is there. */
function first(metadata: Metadata, names: readonly string[]): string | undefined {
  const name = names.find((each) => Object.hasOwn(metadata, each));
  const value: unknown = name === undefined ? undefined : metadata[name];
  return typeof value === 'string' ? value : undefined;
}

function bytesOf(name: string, value: string): number {
  return PREFIX_BYTES + Buffer.byteLength(name) + Buffer.byteLength(value);
}

type Present<T> = { readonly [Name in keyof T]?: Exclude<T[Name], undefined> };

function present<T extends object>(fields: T): Present<T> {
  const there = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(there) as Present<T>;
}
