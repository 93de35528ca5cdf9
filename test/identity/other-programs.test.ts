/** Debian's awscli, with credentials from wire in each of the ways there are. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { Scene, wireCommand } from '../fixtures/real-mount.ts';

/** Not what PATH finds: the packaged one is years older, and in people's machines. */
const aws = '/usr/bin/aws';

const name = 'Debian’s awscli (needs /usr/bin/aws: apt-get install awscli)';

/** Runs aws as alice with a home of her own, and no credentials but those of `environment`. */
async function runAws(
  scene: Scene,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  allow: readonly number[] = [],
): Promise<Finished> {
  const without = Object.keys(process.env).filter((key) => key.startsWith('AWS_'));
  const env = {
    ...Object.fromEntries(without.map((key) => [key, undefined])),
    ...scene.user.environment,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...environment,
  };
  const endpoint = ['--endpoint-url', scene.playground.endpoint];
  return await run(aws, [...endpoint, ...args], scene.signal, { env, allow });
}

/** What `lines` set in a shell, of those that begin with AWS_. */
async function variablesOf(lines: string, scene: Scene): Promise<Record<string, string>> {
  const { stdout } = await run('sh', ['-c', 'eval "$LINES"; env'], scene.signal, {
    env: { LINES: lines },
  });
  const entries = stdout.split('\n').filter((line) => line.startsWith('AWS_'));
  return Object.fromEntries(
    entries.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** `wire credentials --serve`, until disposed as by Ctrl-C. */
class Served implements AsyncDisposable {
  readonly lines: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, lines: string) {
    this.#child = child;
    this.lines = lines;
  }

  static async start(scene: Scene, ...more: readonly string[]): Promise<Served> {
    const args = [wireCommand, 'credentials', '--serve', ...scene.store, ...more];
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...scene.user.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
      signal: scene.signal,
    });
    const lines: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      if (line.includes('AWS_CONTAINER_AUTHORIZATION_TOKEN=')) break;
    }
    return new Served(child, lines.join('\n'));
  }

  async stop(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    const [code] = (await ended) as [number | null];
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

describe.skipIf(!haveDebian(['awscli'], [aws]))(name, () => {
  async function openScene(): Promise<Scene> {
    const scene = await Scene.open();
    try {
      await scene.login();
      const { foreign } = scene.playground.s3;
      foreign.putObject('wire-demo', 'p/inside', 'hello');
      foreign.putObject('wire-demo', 'p2/beside', 'hello');
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  it('lists a bucket with `wire credentials` as its credential_process', async () => {
    await using scene = await openScene();
    const { endpoint, audience, role } = scene.playground;
    await mkdir(join(scene.user.folder, 'home', '.aws'));
    const store = `--endpoint ${endpoint} --audience ${audience} --role ${role}`;
    const command = `"${process.execPath}" "${wireCommand}" credentials ${store}`;
    const config = [
      '[profile all]',
      `credential_process = ${command}`,
      'region = us-east-1',
      '[profile part]',
      `credential_process = ${command} s3://wire-demo/p --read-only`,
      'region = us-east-1',
    ];
    await writeFile(join(scene.user.folder, 'home', '.aws', 'config'), config.join('\n'));
    const list = ['s3', 'ls', '--recursive', 's3://wire-demo/'];
    const all = await runAws(scene, ['--profile', 'all', ...list]);
    expect(all.stdout).toMatch(/p\/inside\n.*p2\/beside/);
    const part = await runAws(scene, [
      '--profile',
      'part',
      ...list.slice(0, 3),
      's3://wire-demo/p/',
    ]);
    expect(part.stdout).toContain('p/inside');
    const beside = await runAws(scene, ['--profile', 'part', ...list], {}, [1, 254, 255]);
    expect(beside.exitCode).not.toBe(0);
    expect(beside.stderr).toContain('AccessDenied');
  });

  it('lists a bucket with what `wire env` says', async () => {
    await using scene = await openScene();
    const { stdout } = await scene.user.wire(['env', ...scene.store], scene.signal);
    expect(stdout).toContain('--endpoint-url');
    const variables = await variablesOf(stdout, scene);
    expect(variables['AWS_ENDPOINT_URL']).toBe(scene.playground.endpoint);
    const { stdout: listing } = await runAws(scene, ['s3', 'ls', 's3://wire-demo/p/'], variables);
    expect(listing).toContain('inside');
  });

  it('lists a bucket with `wire credentials --serve`, for as long as it runs', async () => {
    await using scene = await openScene();
    await using served = await Served.start(scene);
    const runtime = join(scene.user.folder, 'run');
    const [file = ''] = (await readdir(runtime)).filter((entry) => entry.endsWith('.token'));
    expect((await stat(join(runtime, file))).mode & 0o777).toBe(0o600);
    const variables = await variablesOf(served.lines, scene);
    expect(served.lines).not.toContain(variables['AWS_CONTAINER_AUTHORIZATION_TOKEN']);
    const environment = { ...variables, AWS_DEFAULT_REGION: 'us-east-1' };
    const list = ['s3', 'ls', 's3://wire-demo/p/'];
    expect((await runAws(scene, list, environment)).stdout).toContain('inside');

    const guessing: Record<string, string> = {
      ...environment,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'guess',
    };
    delete guessing['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
    const refused = await runAws(scene, list, guessing, [1, 253, 254, 255]);
    expect(refused.exitCode).not.toBe(0);

    expect(await served.stop()).toBe(0);
    expect((await readdir(runtime)).filter((entry) => entry.endsWith('.token'))).toEqual([]);
    const after = await runAws(scene, list, environment, [1, 253, 254, 255]);
    expect(after.exitCode).not.toBe(0);
  });

  it('finds other keys at the endpoint once a lease is nearly over', async () => {
    await using scene = await Scene.open({ leaseSeconds: 4 });
    await scene.login();
    await using served = await Served.start(scene);
    const variables = await variablesOf(served.lines, scene);
    const authorization = variables['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '';
    const url = variables['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '';
    const seen = new Set<string>();
    const ask = async (): Promise<number> => {
      const reply = await fetch(url, { headers: { authorization }, signal: scene.signal });
      const { AccessKeyId, Expiration } = (await reply.json()) as Record<string, string>;
      expect(Date.parse(Expiration ?? '')).toBeGreaterThan(Date.now());
      seen.add(AccessKeyId ?? '');
      return seen.size;
    };
    await expect.poll(ask, { timeout: 20_000, interval: 200 }).toBeGreaterThan(2);
  });
});
