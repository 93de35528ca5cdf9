/** Roles as people write them. */

/** `NAME` as the ARN that Ceph RGW and AWS-like servers use; a whole ARN stays as it is. */
export function roleArnOf(role: string): string {
  return role.startsWith('arn:') ? role : `arn:aws:iam:::role/${role}`;
}
