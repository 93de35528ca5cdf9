/** wire under the name sts-wire, as scripts and people that know that program call it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { iamLogin } from '../fixtures/iam-login.ts';
import type { Scene } from '../fixtures/real-mount.ts';
import { IamTestClient } from '../unit/demo/iam/iam-client.ts';

const anyExit = Array.from({ length: 255 }, (_, code) => code + 1);
/** What is on the PATH as `sts-wire`. */
export const program: string = resolve('bin', 'sts-wire.js');

export type Variables = Readonly<Record<string, string>>;

export async function stsWire(
  { user, signal }: Scene,
  args: readonly string[],
  variables: Variables = {},
): Promise<Finished> {
  const env = { ...user.environment, ...variables };
  const options = { env, allow: anyExit, cwd: user.folder };
  return await run(process.execPath, [program, ...args], signal, options);
}

/** Started as in a terminal or by `&`: it stays. Its lines go to `heard`. */
export function startStsWire(scene: Scene, args: readonly string[], heard: string[]): ChildProcess {
  const { user, signal } = scene;
  const child = spawn(process.execPath, [program, ...args], {
    cwd: user.folder,
    env: { ...process.env, ...user.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  // It is told to end by the signal of a scene that is over.
  child.on('error', () => undefined);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => heard.push(line));
  }
  return child;
}

/** The line that `pattern` matches, once it is there. */
export async function lineOf(
  heard: readonly string[],
  pattern: RegExp,
  signal: AbortSignal,
): Promise<string> {
  for (;;) {
    signal.throwIfAborted();
    const found = heard.find((line) => pattern.test(line));
    if (found !== undefined) return found;
    await systemClock.sleep(10, signal);
  }
}

/** What a hub puts into the environment of a notebook. */
export async function hubTokens({ playground }: Scene): Promise<Variables> {
  const { iam } = playground;
  const { client, grant } = await iamLogin({ iam, client: await IamTestClient.discover(iam) });
  return {
    IAM_SERVER: iam.issuer,
    IAM_CLIENT_ID: client.id,
    IAM_CLIENT_SECRET: client.secret?.reveal() ?? '',
    ACCESS_TOKEN: grant?.access.token.reveal() ?? '',
    REFRESH_TOKEN: grant?.refreshToken?.reveal() ?? '',
  };
}

export function sevenArguments({ playground }: Scene, place: string): readonly string[] {
  const { issuer, endpoint, role, audience, bucket } = playground;
  return [issuer, 'alice', `${endpoint}/`, role, audience, `/${bucket}`, place];
}

/** What start scripts of sites give besides. */
export const usual: readonly string[] = [
  '--localCache',
  'full',
  '--tryRemount',
  '--noDummyFileCheck',
];
