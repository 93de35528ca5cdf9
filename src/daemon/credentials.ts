/** Temporary credentials of a connection. */
import type { TokenSource } from '../auth/token-source.ts';
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
  { clock, log, http }: Surroundings,
  policy?: string,
): RenewingCredentials {
  const { stsEndpoint, role, durationSeconds, sessionName, expiryWaitMs } = connection;
  return new RenewingCredentials({
    tokens,
    endpoint: stsEndpoint,
    sessionName,
    expiryWaitMs,
    clock,
    random: Math.random,
    log,
    http,
    ...(role !== undefined && { roleArn: roleArnOf(role) }),
    ...(durationSeconds !== undefined && { durationSeconds }),
    ...(policy !== undefined && { policy }),
  });
}
