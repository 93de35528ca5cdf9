/** The playground as one more server, so that every suite runs where nothing can be installed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IamLifetimes } from '../../src/demo/iam/options.ts';
import { startPlayground } from '../../src/demo/playground.ts';
import { Closers } from '../../src/lib/closers.ts';
import type { RealServer } from './real-server.ts';

export interface DemoServerOptions {
  readonly lifetimes?: Partial<IamLifetimes>;
  /** Of every lease, whatever is asked. Default: as asked. */
  readonly leaseSeconds?: number;
}

/** As AWS answers; its identity provider as INDIGO IAM does. */
export async function startDemoServer(
  { lifetimes = {}, leaseSeconds }: DemoServerOptions,
  signal: AbortSignal,
): Promise<RealServer> {
  await using closers = new Closers();
  const folder = await mkdtemp(join(tmpdir(), 'wire-playground-'));
  closers.defer(async () => await rm(folder, { recursive: true, force: true }));
  const options = {
    iamDialect: 'indigo',
    storage: folder,
    ...(leaseSeconds !== undefined && { leaseSeconds }),
  } as const;
  const playground = closers.use(await startPlayground(options, signal));
  const { iam, endpoint, audience, role, roles, bucket, root } = playground;
  iam.setLifetimes(lifetimes);
  const held = closers.move();
  return {
    ...{ name: 'playground', version: `playground, Node ${process.versions.node}` },
    ...{ iam, endpoint, audience, role, root, folder },
    personal: { bucket, hasShared: false, roleOf: () => roles.personal },
    [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose](),
  };
}
