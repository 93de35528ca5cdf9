/** Which keys a store takes. */
import { S3Error } from './errors.ts';
import type { Quirks } from './quirks.ts';

/** S3's limit. */
const MAX_KEY_BYTES = 1024;
/** NAME_MAX of the disk's file system, where keys are paths. */
const MAX_PART_BYTES = 255;

/** @throws S3Error KeyTooLongError, XMinioInvalidResourceName, XMinioInvalidObjectName */
export function checkKey(key: string, quirks: Pick<Quirks, 'keysArePaths'>): void {
  // No UTF-16 unit takes more than three bytes: most keys need no counting.
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new S3Error('KeyTooLongError');
  }
  if (!quirks.keysArePaths) return;
  const parts = key.split('/');
  if (parts.some((part) => part === '.' || part === '..')) {
    throw new S3Error('XMinioInvalidResourceName');
  }
  const isBad =
    key.includes('//') ||
    key.includes('\0') ||
    parts.some((part) => Buffer.byteLength(part) > MAX_PART_BYTES);
  if (isBad) throw new S3Error('XMinioInvalidObjectName');
}

/** The key that `key` is stored under: where keys are paths, one leading slash means nothing. */
export function storedKey(key: string, quirks: Pick<Quirks, 'keysArePaths'>): string {
  return quirks.keysArePaths && key.startsWith('/') && !key.startsWith('//') ? key.slice(1) : key;
}

/** @throws S3Error InvalidBucketName */
export function checkBucketName(name: string): void {
  const fits = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..');
  if (!fits || /^\d+\.\d+\.\d+\.\d+$/.test(name)) throw new S3Error('InvalidBucketName');
}
