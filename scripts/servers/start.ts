/** Every server of others by its name, with what it needs. */
import type { IamLifetimes } from '../../src/demo/iam/options.ts';
import { startMinio } from './minio.ts';
import { findMinio } from './minio-program.ts';
import type { RealServer, ServerName } from './real-server.ts';
import { startRgw } from './rgw.ts';
import { installRgw } from './rgw-packages.ts';

export interface ServerOptions {
  /** Of the IAM in front of it. */
  readonly lifetimes?: Partial<IamLifetimes>;
  /** Shortest lease that Ceph RGW gives; default 900 as everywhere. MinIO's end with the token. */
  readonly leaseFloorSeconds?: number;
}

export const serverNames: readonly ServerName[] = ['rgw', 'minio-claims', 'minio-role'];

/** @throws Error that says what is missing and cannot be had here. */
export async function prepareServer(
  name: ServerName,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (name === 'rgw') await installRgw(say, signal);
  else await findMinio(process.env, say, signal);
}

/** Starts a server that is prepared. */
export async function startServer(
  name: ServerName,
  options: ServerOptions,
  signal: AbortSignal,
): Promise<RealServer> {
  if (name === 'rgw') return await startRgw(options, signal);
  const program = await findMinio(process.env, () => undefined, signal);
  const policies = name === 'minio-claims' ? 'claims' : 'role';
  return await startMinio({ ...options, program, policies }, signal);
}
