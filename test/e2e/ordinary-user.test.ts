/**
 * The real command as an ordinary user in a mount namespace of its own, where a node that everybody may open stands in for /dev/fuse. The machine's
 * own /dev/fuse stays as it is. The playground is this process: loopback is shared.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { runProgram } from '../fixtures/mount-tools.ts';
import { canMount, isRoot, Scene, wireCommand } from '../fixtures/real-mount.ts';

/** `nobody`: has an entry in the user database, whose home is not there. */
const UID = 65_534;
/** Of nobody on this machine: no entry in the user database. */
const UNKNOWN_UID = 54_321;

async function whyNot(): Promise<string | undefined> {
  if (!isRoot) return 'needs root';
  if (!canMount) return 'needs /dev/fuse';
  for (const tool of ['fusermount3', 'unshare', 'nsenter', 'setpriv']) {
    const { code } = await runProgram('sh', ['-c', `command -v ${tool}`]);
    if (code !== 0) return `needs ${tool}`;
  }
  return undefined;
}

const why = await whyNot();
const suffix = why === undefined ? '' : ` (skipped: ${why})`;

/** Every exit code of the command is an answer here. */
const anyExit = Array.from({ length: 255 }, (_, code) => code + 1);

/** A user in a mount namespace; what is mounted there ends with it. */
class Namespace implements AsyncDisposable {
  readonly #scene: Scene;
  readonly #keeper: ChildProcess;
  readonly #uid: number;
  /** Changes of the environment that later programs get; undefined: not set. */
  readonly variables: Record<string, string | undefined> = { XDG_RUNTIME_DIR: undefined };

  private constructor(scene: Scene, keeper: ChildProcess, uid: number) {
    this.#scene = scene;
    this.#keeper = keeper;
    this.#uid = uid;
  }

  /** @param prepare shell commands that root runs inside, after the node is in place. */
  static async open(scene: Scene, prepare = ':', uid = UID): Promise<Namespace> {
    const { folder } = scene.user;
    await run('chown', ['-R', `${uid}:${uid}`, folder], scene.signal);
    const node = join(folder, 'fuse-node');
    const script = [
      `mknod ${node} c 10 229`,
      `chmod 666 ${node}`,
      `mount --bind ${node} /dev/fuse`,
      prepare,
      'echo ready',
      'exec sleep 600',
    ].join(' && ');
    const wrapper = ['--mount', '--propagation', 'private', 'sh', '-c', script];
    const keeper = spawn('unshare', wrapper, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(keeper.stdout, 'data')) as [Buffer];
    expect(said.toString()).toBe('ready\n');
    return new Namespace(scene, keeper, uid);
  }

  /** Runs a program inside as the user. */
  async run(program: string, ...args: readonly string[]): Promise<Finished> {
    const { signal } = this.#scene;
    const inside = [...this.#inside(), program, ...args];
    return await run('nsenter', inside, signal, {
      cwd: '/',
      env: this.#environment,
      allow: anyExit,
    });
  }

  /** Runs `wire ...args`, which must end well. */
  async wire(...args: readonly string[]): Promise<Finished> {
    const finished = await this.run(process.execPath, wireCommand, ...args);
    const { exitCode, stderr } = finished;
    expect({ args, exitCode, stderr }).toEqual({ args, exitCode: 0, stderr });
    return finished;
  }

  async login(): Promise<void> {
    const { playground, signal } = this.#scene;
    const { issuer, audience } = playground;
    let approving: Promise<void> | undefined;
    const wire = [process.execPath, wireCommand, 'login', issuer, '--audience', audience];
    await run('nsenter', [...this.#inside(), ...wire, '--no-browser'], signal, {
      cwd: '/',
      env: this.#environment,
      onStderr: (line) => {
        const url = /https?:\/\/\S+user_code=\S+/.exec(line);
        if (url !== null) approving ??= playground.iam.approve(url[0], 'alice', signal);
      },
    });
    await approving;
  }

  async mount(mountPoint: string, ...more: readonly string[]): Promise<Finished> {
    const { playground, store } = this.#scene;
    const args = ['mount', `s3://${playground.bucket}`, mountPoint, ...store, ...more];
    return await this.run(process.execPath, wireCommand, ...args);
  }

  /** Pids that serve the user's mounts. */
  async daemons(): Promise<number[]> {
    const { stdout } = await this.wire('status', '--json');
    const { mounts } = JSON.parse(stdout) as { mounts: readonly { pid?: number }[] };
    return mounts.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /** Mount points of ours inside. */
  async mounts(): Promise<string[]> {
    const { stdout } = await this.run('cat', '/proc/self/mountinfo');
    const lines = stdout.split('\n').filter((line) => line.includes(' fuse.wire '));
    const points = lines.map((line) => line.split(' ')[4] ?? '');
    return points.filter((point) => point.startsWith(this.#scene.user.folder));
  }

  /** A refusal of `wire mount`, in one line; nothing may be mounted after it. */
  async refusesMount(...more: readonly string[]): Promise<{ exitCode: number; line: string }> {
    const mountPoint = this.#scene.place('refused');
    const { exitCode, stderr } = await this.mount(mountPoint, '--mkdir', ...more);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(await this.mounts()).toEqual([]);
    expect(await readdir(this.#scene.user.folder)).not.toContain('refused');
    return { exitCode, line: stderr.trim() };
  }

  /** A refusal of `wire login`, in one line. */
  async refusesLogin(): Promise<{ exitCode: number; line: string }> {
    const { issuer } = this.#scene.playground;
    const { exitCode, stderr } = await this.run(process.execPath, wireCommand, 'login', issuer);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    return { exitCode, line: stderr.trim() };
  }

  #inside(): readonly string[] {
    const user = [`--reuid=${this.#uid}`, `--regid=${this.#uid}`, '--clear-groups'];
    return [`--target=${String(this.#keeper.pid)}`, '--mount', '--', 'setpriv', ...user];
  }

  get #environment(): Readonly<Record<string, string | undefined>> {
    return { ...this.#scene.user.environment, ...this.variables };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of await this.daemons().catch(() => [])) process.kill(pid, 'SIGKILL');
    const gone = once(this.#keeper, 'exit');
    this.#keeper.kill('SIGKILL');
    await gone;
  }
}

describe.skipIf(why !== undefined)(`an ordinary user${suffix}`, () => {
  it('logs in, mounts, copies a tree in and out, unmounts and logs out', async () => {
    await using scene = await Scene.open();
    await using inside = await Namespace.open(scene);
    const mountPoint = scene.place('bucket');
    await inside.login();
    const { stdout } = await inside.wire(
      ...['mount', `s3://${scene.playground.bucket}`, mountPoint, ...scene.store],
      ...['--mkdir', '--daemon'],
    );
    expect(stdout).toBe(`Mounted s3://${scene.playground.bucket} at ${mountPoint}\n`);
    expect(await inside.mounts()).toEqual([mountPoint]);

    const tree = join(process.cwd(), 'src');
    expect(await inside.run('cp', '-r', tree, join(mountPoint, 'copy'))).toMatchObject({
      exitCode: 0,
      stderr: '',
    });
    expect(await inside.run('diff', '-r', tree, join(mountPoint, 'copy'))).toMatchObject({
      exitCode: 0,
      stdout: '',
    });
    const owner = await inside.run('stat', '-c', '%u:%g %a', join(mountPoint, 'copy/lib/log.ts'));
    expect(owner.stdout).toBe(`${UID}:${UID} 644\n`);

    const status = await inside.wire('status');
    expect(status.stdout).toContain(`${mountPoint}: ready`);
    expect(status.stdout).toContain('alice');
    await inside.wire('unmount', mountPoint);
    expect(await inside.mounts()).toEqual([]);
    await inside.wire('logout');
    expect((await inside.wire('status')).stdout).not.toContain('alice');
    const keys = scene.playground.s3.foreign.objects(scene.playground.bucket);
    expect(keys.map(({ key }) => key)).toContain('copy/lib/log.ts');
  });

  it('finds a mount dead after kill -9, and the next wire mount takes its place', async () => {
    await using scene = await Scene.open();
    await using inside = await Namespace.open(scene);
    await inside.login();
    const mountPoint = scene.place('bucket');
    await inside.run('mkdir', mountPoint);
    expect(await inside.mount(mountPoint, '--daemon')).toMatchObject({ exitCode: 0 });
    await inside.run('cp', '/etc/hostname', join(mountPoint, 'kept'));
    const [pid = 0] = await inside.daemons();
    process.kill(pid, 'SIGKILL');
    await untilEnded(pid, scene.signal);
    const listed = await inside.run('ls', mountPoint);
    expect(listed.stderr).toContain('not connected');
    expect((await inside.wire('status')).stdout).toContain(`${mountPoint}: dead`);

    expect(await inside.mount(mountPoint, '--daemon')).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await inside.mounts()).toEqual([mountPoint]);
    const compared = await inside.run('cmp', '/etc/hostname', join(mountPoint, 'kept'));
    expect(compared.exitCode).toBe(0);
    await inside.wire('unmount', mountPoint);
    expect(await inside.mounts()).toEqual([]);
  });

  it('is told of a missing fusermount3 and of fuse3, in one line', async () => {
    await using scene = await Scene.open();
    const hide = 'mount --bind /dev/null "$(readlink -f "$(command -v fusermount3)")"';
    await using inside = await Namespace.open(scene, hide);
    await inside.login();
    const { exitCode, line } = await inside.refusesMount();
    expect(exitCode).toBe(exitCodeOf['no-fuse']);
    expect(line).toMatch(/^wire: .*no fusermount3; install fuse3/);
  });

  it('is told that /dev/fuse may not be opened, in one line', async () => {
    await using scene = await Scene.open();
    await using inside = await Namespace.open(scene, `chmod 600 /dev/fuse`);
    await inside.login();
    const { exitCode, line } = await inside.refusesMount();
    expect(exitCode).toBe(exitCodeOf['no-fuse']);
    expect(line).toMatch(/^wire: cannot use \/dev\/fuse: (EACCES|permission denied); let users/);
  });

  it('is told what --allow-other needs, in one line', async () => {
    await using scene = await Scene.open();
    const conf = scene.place('fuse.conf');
    await writeFile(conf, '#user_allow_other\n');
    await chmod(conf, 0o644);
    await chown(conf, 0, 0);
    const none = `touch /etc/fuse.conf && mount --bind ${conf} /etc/fuse.conf`;
    await using inside = await Namespace.open(scene, none);
    await inside.login();
    const { line } = await inside.refusesMount('--allow-other');
    expect(line).toMatch(/^wire: .*\/etc\/fuse\.conf.*; .*user_allow_other/);
  });

  it('may not mount on a folder of somebody else', async () => {
    await using scene = await Scene.open();
    await using inside = await Namespace.open(scene, `mkdir ${scene.place('roots')}`);
    await inside.login();
    const { exitCode, stderr } = await inside.mount(scene.place('roots'));
    expect(exitCode).toBe(exitCodeOf['mount-point']);
    expect(stderr.trim()).toMatch(/^wire: .*belongs to somebody else \(uid 0\); [^\n]*$/);
  });

  it('works without HOME and with one that cannot be written, if told where to keep its files', async () => {
    await using scene = await Scene.open();
    await using inside = await Namespace.open(scene);
    const { WIRE_STATE_DIR } = scene.user.environment;
    const mountPoint = scene.place('bucket');
    for (const HOME of [undefined, '/']) {
      const files = { WIRE_STATE_DIR: undefined, WIRE_CONFIG: undefined };
      Object.assign(inside.variables, { HOME, ...files });
      const { exitCode, line } = await inside.refusesLogin();
      expect(exitCode).toBe(exitCodeOf.config);
      expect(line).toMatch(/^wire: .*EACCES.*; .*set WIRE_STATE_DIR/);

      Object.assign(inside.variables, { WIRE_STATE_DIR });
      await inside.login();
      expect(await inside.mount(mountPoint, '--mkdir', '--daemon')).toMatchObject({ exitCode: 0 });
      await inside.wire('unmount', mountPoint);
      await inside.wire('logout');
    }
  });

  it('keeps its files in the temporary folder when nothing says where home is', async () => {
    await using scene = await Scene.open();
    await using inside = await Namespace.open(scene, ':', UNKNOWN_UID);
    const TMPDIR = scene.place('home');
    const files = {
      WIRE_STATE_DIR: undefined,
      WIRE_RUNTIME_DIR: undefined,
      WIRE_CONFIG: undefined,
    };
    Object.assign(inside.variables, { HOME: undefined, TMPDIR, ...files });
    await inside.login();
    expect((await inside.wire('status')).stdout).toContain('as alice');
    expect(await readdir(join(TMPDIR, `wire-${UNKNOWN_UID}-state`))).toContain('logins.sealed');
    // fusermount3 itself mounts only for users that the system knows by name.
    const { exitCode, line } = await inside.refusesMount();
    expect(exitCode).toBe(exitCodeOf['no-fuse']);
    expect(line).toMatch(/^wire: .*could not determine username/);
    await inside.wire('logout');
  });
});
