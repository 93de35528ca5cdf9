import type { ETag } from './object-store.ts';

/** Whether two ETags are the same: servers and clients differ in whether they give one its quotes. */
export function isSameEtag(one: ETag, other: ETag): boolean {
  return one.replaceAll('"', '') === other.replaceAll('"', '');
}
