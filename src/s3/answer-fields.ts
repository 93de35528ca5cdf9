/** What the heads of S3's answers say of an object. */
import { StoreError } from '../store/errors.ts';
import type { ObjectHead } from '../store/object-store.ts';
import type { S3Answer } from './s3-request.ts';
import { contentHeaderNames } from './write-headers.ts';

const METADATA = 'x-amz-meta-';
/** Fewer digits than a double holds exactly. */
const length = /^\d{1,15}$/;

/** What HEAD tells. @throws StoreError `unavailable` where the length is missing. */
export function headOf({ headers }: S3Answer, tried: string): ObjectHead {
  const bytes = headers.get('content-length') ?? '';
  // A guess would be taken for the file's length.
  if (!length.test(bytes)) throw incomplete(tried);
  const contentType = headers.get('content-type');
  const metadata: [string, string][] = [];
  for (const [name, value] of headers) {
    if (name.startsWith(METADATA)) metadata.push([name.slice(METADATA.length), value]);
  }
  return {
    etag: headers.get('etag') ?? '',
    bytes: Number(bytes),
    modifiedMs: timeOf(headers.get('last-modified'), 0),
    ...(contentType !== undefined && { contentType }),
    metadata: Object.fromEntries(metadata),
    ...contentHeadersOf(headers),
  };
}

function contentHeadersOf(all: ReadonlyMap<string, string>): Pick<ObjectHead, 'headers'> {
  const headers: Record<string, string> = {};
  for (const [name, header] of Object.entries(contentHeaderNames)) {
    const value = all.get(header);
    if (value !== undefined && value !== '') headers[name] = value;
  }
  return Object.keys(headers).length === 0 ? {} : { headers };
}

/** An HTTP date or one of XML, ms since the epoch; `otherwise` where it is none. */
export function timeOf(date: string | undefined, otherwise: number): number {
  const ms = Date.parse(date ?? '');
  return Number.isNaN(ms) ? otherwise : ms;
}

/** `value`, without which an answer is none. @throws StoreError `unavailable` */
export function required(value: string | undefined, tried: string): string {
  if (value !== undefined && value !== '') return value;
  throw incomplete(tried);
}

function incomplete(tried: string): StoreError {
  return new StoreError('unavailable', tried, { code: 'incomplete answer' });
}
