/** Whose a mount is, for its journal. */
import { decodeJwt } from '../auth/jwt.ts';
import type { TokenSource } from '../auth/token-source.ts';
import { formatSource } from '../config/source.ts';
import type { Life } from '../fs/journal/life.ts';
import type { Clock } from '../lib/clock.ts';
import type { MountSpec } from './mount-parts.ts';

/** @throws WireError as `TokenSource.accessToken`. */
export async function ownLife(
  tokens: TokenSource,
  { source, connection }: MountSpec,
  mountPoint: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<Life> {
  const { token } = await tokens.accessToken(0, signal);
  return {
    endpoint: connection.endpoint,
    source: formatSource(source),
    issuer: connection.issuer,
    subject: decodeJwt(token)?.subject ?? '',
    mountPoint,
    boot: clock.boot?.()?.start ?? '',
  };
}
