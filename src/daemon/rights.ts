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
  const setsAcl = connection.keep?.acl !== undefined && { setsAcl: true };
  if (source.kind === 'buckets') return { prefix: '', readOnly, ...setsAcl };
  return { bucket: source.bucket, prefix: source.prefix, readOnly, ...setsAcl };
}
