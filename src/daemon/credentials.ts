/** Temporary credentials of a connection. */
import type { TokenSource } from '../auth/token-source.ts';
import type { AssumeRoleRequest } from '../sts/assume-role.ts';
import { RenewingCredentials } from '../sts/renewing-credentials.ts';
import { roleArnOf } from '../sts/role.ts';
import type { Connection } from './mount-parts.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * Makes no request.
 *
 * @param policy a session policy (JSON) that narrows the role.
 */
export function renewingCredentials(
  connection: Connection,
  tokens: TokenSource,
  { clock, log, http, network }: Surroundings,
  policy?: string,
): RenewingCredentials {
  const { issuer, audience, durationSeconds, expiryWaitMs } = connection;
  const credentials = new RenewingCredentials({
    ...roleRequestOf(connection),
    tokens,
    issuer,
    expiryWaitMs,
    clock,
    random: Math.random,
    log,
    http,
    ...(audience !== undefined && { audience }),
    ...(durationSeconds !== undefined && { durationSeconds }),
    ...(policy !== undefined && { policy }),
  });
  // A lease may have ended while the machine slept, and what failed may work on another network.
  const watching = network.onChange(() => credentials.checkNow());
  const dispose = credentials[Symbol.asyncDispose].bind(credentials);
  return Object.assign(credentials, {
    [Symbol.asyncDispose]: async () => {
      watching[Symbol.dispose]();
      await dispose();
    },
  });
}

/** Which role is asked for, where, and under what name. */
export function roleRequestOf({
  stsEndpoint,
  role,
  sessionName,
}: Connection): Pick<AssumeRoleRequest, 'endpoint' | 'roleArn' | 'sessionName'> {
  const roleArn = role === undefined ? {} : { roleArn: roleArnOf(role) };
  return { endpoint: stsEndpoint, sessionName, ...roleArn };
}
