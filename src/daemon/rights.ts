/** What a mount needs to be allowed, by what is mounted. */
import type { Rights } from '../sts/session-policy.ts';
import type { MountSpec } from './mount-parts.ts';

/** What its credentials may do at most; undefined: whatever the role may. */
export function rightsOf({
  source,
  readOnly,
  connection,
}: Pick<MountSpec, 'source' | 'readOnly' | 'connection'>): Rights | undefined {
  if (!connection.narrowed) return undefined;
  if (source.kind === 'buckets') return { prefix: '', readOnly };
  return { bucket: source.bucket, prefix: source.prefix, readOnly };
}
