import type { ListRequest } from '../store/object-store.ts';
import { encodePart } from './s3-encoding.ts';

/** The query of ListObjectsV2 for `request`, its parameters in the order of their names. */
export function listingQuery({
  prefix,
  delimiter,
  continuation,
  startAfter,
  maxKeys,
  metadata,
}: ListRequest): string {
  const parameters: readonly (readonly [string, string | undefined])[] = [
    ['continuation-token', continuation],
    ['delimiter', delimiter],
    // Else a key with a control character would be no XML.
    ['encoding-type', 'url'],
    ['list-type', '2'],
    ['max-keys', maxKeys?.toString()],
    // An extension of MinIO.
    ['metadata', metadata?.toString()],
    ['prefix', prefix],
    ['start-after', startAfter],
  ];
  return parameters
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodePart(value)}`]))
    .join('&');
}
