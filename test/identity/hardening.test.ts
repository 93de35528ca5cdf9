import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { killed } from '../fixtures/mount-tools.ts';
import { canMount, isRoot, Scene, wireCommand } from '../fixtures/real-mount.ts';

const onLinux = process.platform === 'linux';
const signal = new AbortController().signal;
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) await killed(child);
});

interface Started {
  readonly pid: number;
  readonly said: readonly string[];
}

/** Starts a program and waits until a line of its matches. */
async function start(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  until: RegExp,
): Promise<Started> {
  const [program = '', ...args] = command;
  const env = { ...process.env, ...environment };
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  const said: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      if (until.test(line)) resolve();
    });
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${said.join('\n')}`)));
  });
  return { pid: child.pid ?? 0, said };
}

/** A login that nobody approves: a process that holds a device code and a client secret. */
async function waitingLogin(
  scene: Scene,
  environment: Readonly<Record<string, string>> = {},
  wrapper: readonly string[] = [],
): Promise<Started> {
  const args = ['login', scene.playground.issuer, '--no-browser'];
  const command = [...wrapper, process.execPath, wireCommand, ...args];
  return await start(command, { ...scene.user.environment, ...environment }, /user_code=/);
}

/** Ports of 127.0.0.1 on which process `pid` accepts connections. */
async function listeningPorts(pid: number): Promise<readonly number[]> {
  const inodes = new Set<string>();
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const rows = (await readFile(`/proc/${pid}/net/tcp`, 'utf8')).split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode ?? ''))
    .map(([, address = '']) => Number.parseInt(address.split(':')[1] ?? '', 16));
}

async function eventually(look: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await look()) return;
    await systemClock.sleep(20, signal);
  }
  throw new Error('it did not come to pass');
}

/** Node's inspector answers a signal from a thread of its own; a process without it stays as it is. */
const SETTLED_MS = 1000;

describe.skipIf(!onLinux || !isRoot)('a process of wire (as root, on Linux)', () => {
  it('does not open a debugger at SIGUSR1, as a plain Node process does', async () => {
    await using scene = await Scene.open();
    const options = { NODE_OPTIONS: '--inspect-port=0' };
    const script = 'process.stderr.write("up\\n"); setInterval(() => 0, 1000)';
    const plain = await start([process.execPath, '-e', script], options, /up/);
    const wire = await waitingLogin(scene, options);
    process.kill(wire.pid, 'SIGUSR1');
    process.kill(plain.pid, 'SIGUSR1');
    await eventually(async () => (await listeningPorts(plain.pid)).length === 1);
    await systemClock.sleep(SETTLED_MS, signal);
    expect(await listeningPorts(wire.pid)).toEqual([]);
    expect(wire.said.join('\n')).not.toContain('Debugger');
  });

  it('closes the debugger that NODE_OPTIONS asks for, and says so', async () => {
    await using scene = await Scene.open();
    const wire = await waitingLogin(scene, { NODE_OPTIONS: '--inspect=127.0.0.1:0' });
    const port = /ws:\/\/127\.0\.0\.1:(\d+)/.exec(wire.said.join('\n'))?.[1];
    expect(port).toBeDefined();
    expect(wire.said.join('\n')).toContain('the debugger of NODE_OPTIONS was closed');
    expect(await listeningPorts(wire.pid)).toEqual([]);
    const answered = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.once('connect', () => resolve('connected')).once('error', () => resolve('refused'));
    });
    expect(answered).toBe('refused');
  });

  it('cannot be read by other processes of its user, nor leave an image of its memory', async () => {
    await using scene = await Scene.open();
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const folder = scene.place('of-nobody');
    await mkdir(folder);
    await chmod(folder, 0o777);
    await chmod(scene.user.folder, 0o755);
    const environment = {
      HOME: folder,
      WIRE_STATE_DIR: join(folder, 'state'),
      WIRE_RUNTIME_DIR: join(folder, 'run'),
      WIRE_CONFIG: '',
      WIRE_KEY_FILE: '',
      WIRE_NO_KEYCHAIN: '1',
    };
    // Its own kernel keyring may be forbidden here; a plain file is enough for this.
    const args = ['login', scene.playground.issuer, '--no-browser', '--insecure-storage'];
    const command = [...nobody, process.execPath, wireCommand, ...args];
    const wire = await start(command, { ...scene.user.environment, ...environment }, /user_code=/);
    // The kernel gives the /proc files of a process that may not be dumped to root.
    expect((await stat(`/proc/${wire.pid}/environ`)).uid).toBe(0);
    const script = 'process.stderr.write("up\\n"); setInterval(() => 0, 1000)';
    const plain = await start([...nobody, process.execPath, '-e', script], {}, /up/);
    expect((await stat(`/proc/${plain.pid}/environ`)).uid).toBe(65534);
  });

  it('gives the secrets of its environment to no program that it starts', async () => {
    await using scene = await Scene.open();
    const folder = scene.place('programs');
    await mkdir(folder);
    const shown = join(folder, 'shown');
    const program = `#!/bin/sh\nenv > "${shown}"\ncat "/proc/$$/environ" >> "${shown}"\nexit 1\n`;
    await writeFile(join(folder, 'systemd-creds'), program, { mode: 0o755 });
    await waitingLogin(scene, {
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      WIRE_KEY_FILE: '',
      WIRE_NO_KEYCHAIN: '1',
      BEARER_TOKEN: 'the-bearer-token',
      IAM_CLIENT_SECRET: 'the-client-secret',
      AWS_SECRET_ACCESS_KEY: 'the-secret-access-key',
      SOMETHING_OPEN: 'something-else',
    });
    const text = await readFile(shown, 'latin1');
    expect(text.includes('something-else')).toBe(true);
    expect(/the-bearer-token|the-client-secret|the-secret-access-key/.exec(text)).toBeNull();
  });
});

describe.skipIf(!canMount)('a mount in the background', () => {
  it('has the secrets it was started with, and shows them nowhere in /proc', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user } = scene;
    const environment = { ACCESS_TOKEN_NOTE: 'open', MY_PASSWORD: 'the-password-of-somebody' };
    const mountPoint = scene.place('bucket');
    const source = `s3://${scene.playground.bucket}`;
    const args = ['mount', source, mountPoint, ...scene.store, '--mkdir', '--daemon'];
    const [program = '', ...rest] = user.commandLine(args);
    const child = spawn(program, rest, {
      env: { ...process.env, ...user.environment, ...environment },
      stdio: 'ignore',
    });
    children.push(child);
    await new Promise((resolve) => child.once('exit', resolve));
    expect(child.exitCode).toBe(0);
    const [pid] = await scene.daemons();
    const shown = await readFile(`/proc/${pid}/environ`, 'latin1');
    expect(shown).toContain('ACCESS_TOKEN_NOTE=open');
    expect(shown).not.toContain('the-password-of-somebody');
    expect(await listeningPorts(pid ?? 0)).toEqual([]);
    await user.wire(['unmount', mountPoint], signal);
  });
});
