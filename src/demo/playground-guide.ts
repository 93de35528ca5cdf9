/** How to use a running playground, for people at a terminal. */
import type { Playground } from './playground.ts';

/** Lines to print. `wire` is the command as it is to be typed. */
export function guide(playground: Playground, wire: string): readonly string[] {
  const { audience, bucket, endpoint, issuer, role, root } = playground;
  const folder = `/tmp/${bucket}`;
  return [
    'The playground runs:',
    ...playground.describe().map((line) => `  ${line}`),
    `  root      ${root.accessKeyId} ${root.secretAccessKey} (new at each start)`,
    '',
    'Log in, as alice with any password:',
    `  ${wire} login ${issuer} --audience ${audience}`,
    '',
    'Mount, use, unmount:',
    `  ${wire} mount s3://${bucket} ${folder} --mkdir --daemon --endpoint ${endpoint} \\`,
    `    --issuer ${issuer} --role ${role} --audience ${audience}`,
    `  ls ${folder}`,
    `  ${wire} unmount ${folder}`,
    `  ${wire} logout ${issuer}`,
    '',
    'Count what of S3 it keeps:',
    `  npm run conformance -- ${endpoint} ${root.accessKeyId} ${root.secretAccessKey}`,
    '',
    'Make it misbehave:',
    `  curl -X POST ${endpoint}/_playground/s3/expireNow`,
    `  curl -d '[{"latencyMs": 500}]' ${endpoint}/_playground/s3/set`,
    `  curl -d '{"accessToken": 10}' ${new URL('/_playground/iam/lifetimes', issuer).href}`,
  ];
}
