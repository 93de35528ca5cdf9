/**
 * Names of files and keys of objects. A key is read as parts between slashes; a directory is the
 * prefix that its keys share, '' or ending in '/'. Pure; docs/SEMANTICS.md tells the same rules.
 *
 * Every key made here lies under the directory it was made for: a part is never empty, '.' or
 * '..', and holds no slash.
 */

/** Linux: NAME_MAX of limits.h, in bytes. */
export const MAX_PART_BYTES = 255;

/** S3: a key's UTF-8 is at most this long (API: PutObject, "Key"). */
export const MAX_KEY_BYTES = 1024;

/** Why a name cannot be part of a key. */
export type NameRefusal =
  | 'not-utf8' // keys are Unicode text
  | 'too-long' // more than `MAX_PART_BYTES`
  | 'reserved'; // empty, '.', '..', or holding '/' or NUL

export type PartOfName =
  | { readonly ok: true; readonly part: string }
  | { readonly ok: false; readonly why: NameRefusal };

/** A byte order mark is part of a name like any other character. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The part of a key that a file name stands for. */
export function partOfName(name: Uint8Array): PartOfName {
  if (name.byteLength > MAX_PART_BYTES) return { ok: false, why: 'too-long' };
  let part: string;
  try {
    part = decoder.decode(name);
  } catch {
    return { ok: false, why: 'not-utf8' };
  }
  return isShownPart(part) ? { ok: true, part } : { ok: false, why: 'reserved' };
}

/** The bytes of the file name that shows `part`. */
export function nameOfPart(part: string): Uint8Array {
  return Buffer.from(part, 'utf8');
}

/** Most names: nothing in them is to be looked at twice. */
const plainPart = /^[A-Za-z0-9_-][A-Za-z0-9 _.+=@,~-]*$/;

/** Whether a part of a key can be a file name; what cannot is hidden from listings. */
export function isShownPart(part: string): boolean {
  if (plainPart.test(part)) return part.length <= MAX_PART_BYTES;
  if (part === '' || part === '.' || part === '..') return false;
  if (part.includes('/') || part.includes('\0')) return false;
  // A lone surrogate has no UTF-8, so its name would not lead back to the key.
  if (/\p{Surrogate}/u.test(part)) return false;
  return Buffer.byteLength(part, 'utf8') <= MAX_PART_BYTES;
}

/** The key of the file `part` in `directory`. */
export function childKey(directory: string, part: string): string {
  return `${directory}${part}`;
}

/** The directory `part` in `directory`. Its marker, an empty object, has this very key. */
export function childDirectory(directory: string, part: string): string {
  return `${directory}${part}/`;
}

/**
 * The name under which a listing of `directory` shows a key, or a common prefix with its final
 * slash: the part right below. Undefined for the directory's own marker, for what lies elsewhere
 * or deeper, and for what no file name can show.
 */
export function shownPart(directory: string, keyOrPrefix: string): string | undefined {
  if (!keyOrPrefix.startsWith(directory)) return undefined;
  const rest = keyOrPrefix.slice(directory.length);
  const part = rest.endsWith('/') ? rest.slice(0, -1) : rest;
  return isShownPart(part) ? part : undefined;
}

/** Whether `key` stands for a directory: its marker. */
export function isDirectoryKey(key: string): boolean {
  return key === '' || key.endsWith('/');
}

/** Order of keys in listings: that of their UTF-8, where JavaScript's own is of UTF-16. */
export function compareKeys(a: string, b: string): number {
  const least = Math.min(a.length, b.length);
  for (let at = 0; at < least; at += 1) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Surrogates, of which characters beyond U+FFFF are made, come after all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/** Whether the store can hold `key`. */
export function fitsKey(key: string): boolean {
  return Buffer.byteLength(key, 'utf8') <= MAX_KEY_BYTES;
}

/**
 * The directory that a person means by `prefix`, with or without its final slash: '' for the whole
 * bucket. Undefined when a part could not be shown, so that a mount's root is always a directory
 * that listings can reach.
 */
export function rootDirectory(prefix: string): string | undefined {
  const trimmed = prefix.replace(/^\/|\/$/g, '');
  if (trimmed === '') return prefix.length <= 1 ? '' : undefined;
  return trimmed.split('/').every(isShownPart) ? `${trimmed}/` : undefined;
}
