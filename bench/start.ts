/**
 * How long a person waits: `wire --help`, and `wire mount --daemon` until the root answers (a new
 * process, a login in the vault, the playground on loopback).
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../scripts/demo/programs.ts';
import { WireUser } from '../scripts/demo/wire-user.ts';
import { type Playground, startPlayground } from '../src/demo/playground.ts';
import type { SuiteOutcome } from './main.ts';

const ROUNDS = 9;
/** Goals, in ms. */
const HELP_LIMIT = 80;
const MOUNT_LIMIT = 250;

export async function measureStart(signal: AbortSignal): Promise<SuiteOutcome> {
  await using playground = await startPlayground({}, signal);
  await using user = await WireUser.create(join(process.cwd(), 'bin', 'wire.js'));
  const login = [playground.issuer, '--audience', playground.audience];
  await user.login(login, 'alice', () => undefined, signal);
  const help: number[] = [];
  const ready: number[] = [];
  const node: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    node.push(await timed(async () => await run(process.execPath, ['-e', '0'], signal)));
    help.push(await timed(async () => await user.wire(['--help'], signal)));
    const mountPoint = join(user.folder, `m${round}`);
    ready.push(await timed(async () => await mountAndStat(user, playground, mountPoint, signal)));
    await user.wire(['unmount', mountPoint], signal);
  }
  const limit = (ms: number): { readonly limit: readonly number[] } => ({ limit: [ms] });
  const time = { unit: 'ms', better: 'smaller' } as const;
  return {
    measurements: [
      { ...time, name: 'help', wire: help, others: limit(HELP_LIMIT) },
      { ...time, name: 'mount-ready', wire: ready, others: limit(MOUNT_LIMIT) },
    ],
    notes: { 'node -e 0, ms': node.map((ms) => ms.toFixed(0)).join(' ') },
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function mountAndStat(
  user: WireUser,
  playground: Playground,
  mountPoint: string,
  signal: AbortSignal,
): Promise<void> {
  const { bucket, endpoint, audience, role } = playground;
  const where = ['--endpoint', endpoint, '--audience', audience, '--role', role];
  await user.wire(['mount', `s3://${bucket}`, mountPoint, ...where, '--mkdir', '--daemon'], signal);
  await stat(mountPoint);
}
