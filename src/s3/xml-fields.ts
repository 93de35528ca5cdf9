/** Fields of S3's answers, as they must be written. */
import { BadXmlError } from './xml-reader.ts';

/** ISO 8601, as in `2026-01-31T23:59:59.000Z`. */
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** @throws BadXmlError for a field that was told before. */
export function readOnce<T>(before: T | undefined, now: T): T {
  if (before !== undefined) throw new BadXmlError('a field told twice');
  return now;
}

/** A time, ms since the epoch. @throws BadXmlError */
export function readTime(text: string): number {
  const ms = time.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new BadXmlError('a broken time');
  return ms;
}
