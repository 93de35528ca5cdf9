/** Every server by its name, with what it needs. */
import type { IamLifetimes } from '../../src/demo/iam/options.ts';
import { startDemoServer } from './demo-server.ts';
import { findGoProgram, minio, opa } from './go-program.ts';
import { startMinio } from './minio.ts';
import { ceph, install } from './packages.ts';
import type { RealServer, ServerName } from './real-server.ts';
import { startRgw } from './rgw.ts';

export interface ServerOptions {
  /** Of the IAM in front of it. */
  readonly lifetimes?: Partial<IamLifetimes>;
  /**
   * Shortest lease that Ceph RGW gives, default 900 as everywhere; the playground then gives no
   * longer one. MinIO's end with the token.
   */
  readonly leaseFloorSeconds?: number;
}

export const serverNames: readonly ServerName[] = [
  'playground',
  'rgw',
  'minio-claims',
  'minio-role',
  'minio-opa',
  'minio-opa-session',
];

/** @throws Error that says what is missing and cannot be had here. */
export async function prepareServer(
  name: ServerName,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (name === 'playground') return;
  if (name === 'rgw') {
    await install(ceph, say, signal);
    return;
  }
  await findGoProgram(minio, say, signal);
  if (asksOpa(name)) await findGoProgram(opa, say, signal);
}

/** Starts a server that is prepared. */
export async function startServer(
  name: ServerName,
  options: ServerOptions,
  signal: AbortSignal,
): Promise<RealServer> {
  const { leaseFloorSeconds: leaseSeconds, ...more } = options;
  if (name === 'playground') {
    return await startDemoServer({ ...more, ...(leaseSeconds && { leaseSeconds }) }, signal);
  }
  if (name === 'rgw') return await startRgw(options, signal);
  const quiet = (): void => undefined;
  const program = await findGoProgram(minio, quiet, signal);
  if (!asksOpa(name)) {
    const policies = name === 'minio-claims' ? 'claims' : 'role';
    return await startMinio({ ...more, name, program, policies }, signal);
  }
  const policy = name === 'minio-opa' ? 'rights-alone' : 'session-policies';
  const decider = { program: await findGoProgram(opa, quiet, signal), policy } as const;
  return await startMinio({ ...more, name, program, policies: 'role', opa: decider }, signal);
}

function asksOpa(name: ServerName): boolean {
  return name === 'minio-opa' || name === 'minio-opa-session';
}
