/** Temporary credentials of a connection. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LoginTokenSource } from '../auth/login-token-source.ts';
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
  { clock, log, http, network, paths }: Surroundings,
  policy?: string,
): RenewingCredentials {
  const { stsEndpoint, role, durationSeconds, sessionName, expiryWaitMs } = connection;
  const { issuer, audience } = connection;
  // Tokens from elsewhere come back without a word in our vault.
  const own = tokens instanceof LoginTokenSource;
  const credentials = new RenewingCredentials({
    tokens,
    endpoint: stsEndpoint,
    issuer,
    sessionName,
    expiryWaitMs,
    clock,
    random: Math.random,
    log,
    http,
    ...(own && { loginMark: async () => await fileMark(join(paths.stateDir, 'logins.sealed')) }),
    ...(audience !== undefined && { audience }),
    ...(role !== undefined && { roleArn: roleArnOf(role) }),
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

/** Another text after each change of `file`, which is replaced as a whole; '' when there is none. */
async function fileMark(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found === undefined ? '' : `${found.ino} ${found.size} ${found.ctimeNs}`;
}
