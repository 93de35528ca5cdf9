/** Roles as people write them. */

/** `TENANT:NAME` or, as radosgw-admin writes it, `TENANT$NAME`; at AWS the tenant is the account. */
const tenantRole = /^(?<tenant>[^:$/]+)[:$](?<name>[^:$]+)$/;

/**
 * `NAME` as the ARN that Ceph RGW and AWS-like servers use, with the tenant in the place of the
 * account (Ceph: "Role", https://docs.ceph.com/en/latest/radosgw/role/); a whole ARN stays as it is.
 */
export function roleArnOf(role: string): string {
  if (role.startsWith('arn:')) return role;
  const { tenant = '', name = role } = tenantRole.exec(role)?.groups ?? {};
  return `arn:aws:iam::${tenant}:role/${name}`;
}
