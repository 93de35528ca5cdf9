/** The Range header of RFC 9110, as far as object stores follow it: one range of bytes. */
import type { Extent } from '../../lib/bytes.ts';
import { S3Error } from './errors.ts';
import type { Quirks } from './quirks.ts';

/**
 * Bytes to send of `size`; undefined: all, with status 200. Several ranges, like ranges in other
 * units, are answered with everything.
 *
 * @throws S3Error InvalidRange
 */
export function requestedExtent(
  range: string | undefined,
  size: number,
  quirks: Pick<Quirks, 'refusesBadRange' | 'emptySuffixIs206'>,
): Extent | undefined {
  if (range === undefined) return undefined;
  const match = /^bytes=(\d*)-(\d*)$/.exec(range.trim());
  if (match === null || match[0] === 'bytes=-') return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') return suffix(Number(last), size, quirks.emptySuffixIs206);
  const start = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < start) {
    if (quirks.refusesBadRange) throw new S3Error('InvalidRange');
    return undefined;
  }
  if (start >= size) throw new S3Error('InvalidRange');
  return { start, end };
}

function suffix(bytes: number, size: number, emptyIsFine: boolean): Extent {
  if (bytes === 0 || (size === 0 && !emptyIsFine)) throw new S3Error('InvalidRange');
  return { start: Math.max(size - bytes, 0), end: size };
}

/** `Content-Range` of `extent`: `bytes 0--1/0` for nothing of nothing, as MinIO writes it. */
export function contentRange({ start, end }: Extent, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}

/**
 * The range of UploadPartCopy: both ends given, inside the source.
 *
 * @throws S3Error InvalidArgument or InvalidRange
 */
export function copyExtent(range: string | undefined, size: number): Extent {
  if (range === undefined) return { start: 0, end: size };
  const match = /^bytes=(\d+)-(\d+)$/.exec(range);
  if (match === null) throw new S3Error('InvalidArgument', 'The copy source range is malformed.');
  const extent = { start: Number(match[1]), end: Number(match[2]) + 1 };
  if (extent.start >= extent.end || extent.end > size) throw new S3Error('InvalidRange');
  return extent;
}
