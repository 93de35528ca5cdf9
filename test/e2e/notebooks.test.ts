/** docs/NOTEBOOKS.md, with a real jupyter-server where Debian's package of it can be had. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { hubTokens } from '../fixtures/hub-tokens.ts';
import { canMount, Scene, wireCommand } from '../fixtures/real-mount.ts';

const JUPYTER = '/usr/bin/jupyter-server';
const whyNoJupyter = !canMount
  ? 'needs /dev/fuse'
  : haveDebian(['jupyter-server'], [JUPYTER])
    ? undefined
    : 'needs jupyter-server';
/** What an image puts on the PATH; the package's programs come first. */
const SYSTEM_PATH = `/usr/bin:${process.env['PATH'] ?? ''}`;
const TOKEN = 'token-of-the-server';
const anyExit = Array.from({ length: 255 }, (_, code) => code + 1);

/** Code blocks of `language` on the page. */
async function blocks(language: string): Promise<readonly string[]> {
  const page = await readFile('docs/NOTEBOOKS.md', 'utf8');
  const found = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
  return found.filter(([, of]) => of === language).map(([, , text = '']) => text);
}

async function block(language: string, word: string): Promise<string> {
  const found = (await blocks(language)).filter((text) => text.includes(word));
  expect({ word, count: found.length }).toEqual({ word, count: 1 });
  return found[0] ?? '';
}

/** The environment of a person with `wire` and `sts-wire` on the PATH. */
async function environmentOf({ user }: Scene): Promise<Record<string, string>> {
  const bin = join(user.folder, 'bin');
  await mkdir(bin, { recursive: true });
  const programs = { wire: wireCommand, 'sts-wire': resolve('bin', 'sts-wire.js') };
  for (const [name, program] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
    await chmod(join(bin, name), 0o755);
  }
  return { ...user.environment, PATH: `${bin}:${SYSTEM_PATH}` };
}

/** Puts the playground in the place of the page's example. Every name must have been there. */
function atPlayground(text: string, { playground }: Scene, names: readonly string[]): string {
  const places: Readonly<Record<string, string>> = {
    'https://iam.example.org/': playground.issuer,
    'https://rgw.example.org': playground.endpoint,
    'my-bucket': playground.bucket,
    IAMaccess: playground.role,
    object: playground.audience,
  };
  let replaced = text;
  for (const name of names) {
    expect(text).toContain(name);
    replaced = replaced.replaceAll(name, places[name] ?? name);
  }
  expect(replaced).not.toContain('example.org');
  return replaced;
}

async function type(script: string, scene: Scene): Promise<Finished> {
  const env = await environmentOf(scene);
  return await run('bash', ['-euo', 'pipefail', '-c', script], scene.signal, {
    env,
    allow: anyExit,
  });
}

/** Variables that say what `Scene.store` says in flags. */
function storeVariables({ playground }: Scene): Readonly<Record<string, string>> {
  const { endpoint, audience, role } = playground;
  return { WIRE_ENDPOINT: endpoint, WIRE_AUDIENCE: audience, WIRE_ROLE: role };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A notebook server at the user's home, and what it says. */
class Jupyter implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly #child: ChildProcess;
  readonly #url: string;
  readonly #exited: Promise<number | null>;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.#url = url;
    this.#exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface(stream).on('line', (line) => this.heard.push(line));
    }
  }

  /** @param before shell commands ahead of the server's own, `call`. */
  static async start(
    { user }: Scene,
    env: Readonly<Record<string, string>>,
    before: string,
    call = 'exec jupyter-server "$@"',
  ): Promise<Jupyter> {
    const port = await freePort();
    const flags = [
      ...['--allow-root', '--no-browser', '--ServerApp.ip=127.0.0.1', '--ServerApp.port_retries=0'],
      ...[`--ServerApp.port=${port}`, `--ServerApp.token=${TOKEN}`],
      ...[`--ServerApp.root_dir=${env['HOME'] ?? user.folder}`],
    ];
    const script = `${before}\n${call}`;
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script, 'start', ...flags], {
      cwd: user.folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Jupyter(child, `http://127.0.0.1:${port}`);
  }

  /** Names in a folder, by the contents API, as soon as there is an answer: the first counts. */
  async names(folder: string, signal: AbortSignal): Promise<readonly string[]> {
    const url = `${this.#url}/api/contents/${folder}?token=${TOKEN}`;
    for (;;) {
      signal.throwIfAborted();
      if (this.#child.exitCode !== null) throw new Error(this.heard.join('\n'));
      const answer = await fetch(url, { signal }).catch(() => undefined);
      if (answer === undefined) {
        await systemClock.sleep(5, signal);
        continue;
      }
      const { content } = (await answer.json()) as { content: readonly { name: string }[] };
      return content.map(({ name }) => name).sort();
    }
  }

  /** Tells it to end, as a container's end does. @returns its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return await this.#exited;
  }

  get exited(): Promise<number | null> {
    return this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
    }
    await this.#exited;
  }
}

/** Two buckets with a file each, and what the hook is told of them. */
async function twoBuckets(scene: Scene): Promise<Readonly<Record<string, string>>> {
  const { playground, user } = scene;
  const { s3, bucket } = playground;
  s3.foreign.putObject(bucket, 'one.txt', Buffer.from('1'));
  s3.foreign.putObject('alice', 'two.ipynb', Buffer.from('{}'));
  const home = user.environment['HOME'] ?? '';
  const image = await block('text', 'ENV WIRE_MOUNTS=');
  const shown = /^ENV WIRE_MOUNTS="(.+)"$/m.exec(image)?.[1] ?? '';
  const WIRE_MOUNTS = atPlayground(shown, scene, ['my-bucket']).replaceAll('/home/jovyan', home);
  return { ...(await environmentOf(scene)), ...storeVariables(scene), WIRE_MOUNTS };
}

const hook = resolve('share/jupyter/before-notebook.d/50-wire.sh');

describe.skipIf(whyNoJupyter !== undefined)(
  `a notebook server${whyNoJupyter === undefined ? '' : ` (skipped: ${whyNoJupyter})`}`,
  () => {
    it('shows both buckets that its hook mounts at its first answer', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { signal, user } = scene;
      const env = await twoBuckets(scene);
      await using server = await Jupyter.start(scene, env, `. '${hook}'`);
      expect(await server.names('data', signal)).toEqual(['one.txt']);
      expect(await server.names('home', signal)).toEqual(['two.ipynb']);
      const daemons = new Set(await scene.daemons());
      expect(daemons.size).toBe(1);
      await server.stop();
      const points = await mountsBelow(user.folder);
      expect(points).toHaveLength(2);
      const unmounted = await user.wire(['unmount', ...points], signal);
      expect(unmounted.exitCode).toBe(0);
      for (const pid of daemons) await untilEnded(pid, signal);
      expect(await mountsBelow(user.folder)).toEqual([]);
    });

    it('mounts by its own configuration, and leaves no mount and no process when it ends', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { signal, user, playground } = scene;
      const SHARE = resolve('share');
      const env = { ...(await twoBuckets(scene)), SHARE };
      const copy = await block('sh', 'jupyter_server_config.py');
      const [make = '', put = '', start = ''] = copy.split('\n');
      const call = atPlayground(start, scene, ['my-bucket']).replace(
        / jupyter-server$/,
        ' exec jupyter-server "$@"',
      );
      expect(call).toContain('exec');
      await using server = await Jupyter.start(scene, env, `${make}\n${put}`, call);
      expect(await server.names('data', signal)).toEqual(['one.txt']);
      const daemons = await scene.daemons();
      const home = user.environment['HOME'] ?? '';
      await writeFile(join(home, 'data', 'result'), 'text');
      expect(await server.stop()).toBe(0);
      for (const pid of daemons) await untilEnded(pid, signal);
      expect(await mountsBelow(user.folder)).toEqual([]);
      expect(await readdir(home)).not.toContain('data');
      const { s3, bucket } = playground;
      expect((await s3.foreign.getObject(bucket, 'result'))?.toString()).toBe('text');
    });

    it('waits with its first answer until somebody has logged in, for as long as WIRE_WAIT says', async () => {
      await using scene = await Scene.open();
      const { signal, user } = scene;
      const env = { ...(await twoBuckets(scene)), WIRE_WAIT: '60s', WIRE_REQUIRED: '1' };
      await using server = await Jupyter.start(scene, env, `. '${hook}'`);
      const first = server.names('data', signal);
      await scene.login();
      expect(await first).toEqual(['one.txt']);
      expect(await server.names('home', signal)).toEqual(['two.ipynb']);
      await server.stop();
      const points = await mountsBelow(user.folder);
      expect((await user.wire(['unmount', ...points], signal)).exitCode).toBe(0);
    });

    it('starts without a mount that fails, and says why; with WIRE_REQUIRED it does not start', async () => {
      await using scene = await Scene.open();
      const { signal } = scene;
      const env = await twoBuckets(scene);
      await using server = await Jupyter.start(scene, env, `. '${hook}'`);
      expect(await server.names('', signal)).toEqual([]);
      expect(server.heard.filter((line) => line.startsWith('wire: '))).toHaveLength(1);
      await server.stop();
      const required = { ...env, WIRE_REQUIRED: '1' };
      await using refused = await Jupyter.start(scene, required, `. '${hook}'`);
      expect(await refused.exited).toBe(1);
      const config = join(env['HOME'] ?? '', '.jupyter');
      await mkdir(config);
      await cp('share/jupyter/jupyter_server_config.py', join(config, 'jupyter_server_config.py'));
      await using refusedToo = await Jupyter.start(scene, required, ':');
      expect(await refusedToo.exited).not.toBe(0);
      expect(await mountsBelow(scene.user.folder)).toEqual([]);
    });
  },
);

describe('the page about notebooks', () => {
  it('logs in by its cell, which shows the code', async () => {
    await using scene = await Scene.open();
    const { playground, signal } = scene;
    const names = ['https://iam.example.org/', 'object'];
    const cell = atPlayground(await block('python', 'wire'), scene, names);
    let shown = '';
    const child = spawn('python3', ['-u', '-c', cell], {
      env: { ...process.env, ...(await environmentOf(scene)) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let approving: Promise<void> | undefined;
    createInterface(child.stdout).on('line', (line) => {
      shown += `${line}\n`;
      const url = /^Open (\S+)$/.exec(line)?.[1];
      if (url !== undefined) approving ??= playground.iam.approve(url, 'alice', signal);
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    await approving;
    expect({ code, shown }).toEqual({
      code: 0,
      shown: expect.stringMatching(
        /^Open http\S+\nand check that it shows \S+\nLogged in as alice\n$/,
      ) as string,
    });
  });

  it.skipIf(!canMount)('mounts several buckets in the one call that it shows', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const names = ['https://rgw.example.org', 'my-bucket', 'IAMaccess', 'object'];
    const call = atPlayground(await block('sh', 's3://alice'), scene, names);
    const { exitCode, stdout } = await type(call, scene);
    const home = scene.user.environment['HOME'] ?? '';
    const points = [join(home, 'data'), join(home, 'home')];
    expect({ exitCode, lines: stdout.trim().split('\n').sort() }).toEqual({
      exitCode: 0,
      lines: [
        `Mounted s3://alice at ${points[1] ?? ''}`,
        `Mounted s3://${scene.playground.bucket} at ${points[0] ?? ''}`,
      ],
    });
    expect((await scene.user.wire(['unmount', ...points], scene.signal)).exitCode).toBe(0);
  });

  it.skipIf(!canMount)(
    'is right that start scripts of sts-wire run unchanged: six mounts, no login, no clash',
    async () => {
      await using scene = await Scene.open();
      const { playground, signal, user } = scene;
      const names = ['alice', 'scratch', 'sim', 'data', 'analysis', 'public'];
      const env = {
        ...(await environmentOf(scene)),
        ...(await hubTokens(scene.playground)),
        USERNAME: 'alice',
        GROUP_BUCKET: playground.bucket,
        S3_ENDPOINT: `${playground.endpoint}/`,
        ROLE: playground.role,
        AUDIENCE: playground.audience,
      };
      const child = spawn('bash', ['test/fixtures/scripts/hub-start.sh'], {
        env: { ...process.env, ...env },
        stdio: 'inherit',
        // A group of its own, which is told to end as a container is.
        detached: true,
      });
      const exited = new Promise((resolve) => child.once('exit', resolve));
      const base = join(user.environment['HOME'] ?? '', 'cloud-storage');
      const points = names.map((name) => join(base, name));
      while ((await mountsBelow(user.folder)).length < names.length) {
        await systemClock.sleep(50, signal);
      }
      const answered = await Promise.all(
        points.map(async (point) => await run('touch', [join(point, 'mine')], signal)),
      );
      expect(answered.map(({ exitCode }) => exitCode)).toEqual(names.map(() => 0));
      const daemons = await scene.daemons();
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
      await exited;
      for (const pid of daemons) await untilEnded(pid, signal);
      expect(await mountsBelow(user.folder)).toEqual([]);
      const keys = (bucket: string): readonly string[] =>
        playground.s3.foreign.objects(bucket).map(({ key }) => key);
      expect(keys('alice')).toEqual(['mine']);
      const others = names.slice(1).map((name) => `${name}/mine`);
      expect([...keys(playground.bucket)].sort()).toEqual(others.sort());
    },
  );
});
