/** Names of bytes that were put aside: whose they are, of which file, and since when. */
import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';

/** Somebody else has changed the object; or the store could not or would not take it. */
export type WhyKept = 'conflict' | 'unsaved';

/** Longest part of a file's name and of a user's: with the rest below 255 bytes. */
const NAME_LENGTH = 100;
const USER_LENGTH = 40;

/** `report.csv.conflict-anna-2026-11-22T130455.123Z-1f3a9c02`: no two are the same. */
export function keptName(fileName: string, why: WhyKept, user: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replaceAll(':', '');
  const name = `${safeName(fileName)}.${why}-${safeName(user).slice(0, USER_LENGTH)}`;
  return `${name}-${time}-${randomBytes(4).toString('hex')}`;
}

/** What any file system takes, and a shell without quotes. */
export function safeName(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '_').slice(-NAME_LENGTH);
}

/** Who runs this; by number where that has no name. */
export function localUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? 0}`;
  }
}
