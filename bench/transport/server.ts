/** A server of the benchmark's tree in a process of its own, and what the process costs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../../scripts/demo/programs.ts';
import { cpuUsOf, memoryMbOf } from '../process-cost.ts';

export type ServerName = 'wire' | 'libfuse-c' | 'libfuse-c-threads' | 'fuse-native';

export type Content = 'planted' | 'empty';

/** Program and arguments of a server; `memoryFs` is the compiled one. */
function commandOf(
  name: ServerName,
  memoryFs: string,
  mountPoint: string,
  attributeSeconds: number,
  content: Content,
): readonly [string, readonly string[]] {
  const args = [mountPoint, String(attributeSeconds)];
  const script = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  switch (name) {
    case 'libfuse-c':
      return [memoryFs, args];
    case 'libfuse-c-threads':
      return [memoryFs, [...args, 'threads']];
    case 'wire':
      return [process.execPath, [script('wire-server.js'), ...args, content]];
    case 'fuse-native':
      return [process.execPath, [script('fuse-native-server.js'), ...args]];
  }
}

export class Server implements AsyncDisposable {
  readonly name: ServerName;
  readonly mountPoint: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  private constructor(name: ServerName, mountPoint: string, child: ChildProcess) {
    this.name = name;
    this.mountPoint = mountPoint;
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('close', () => resolve());
    });
  }

  /** Mounts on a folder of its own; returns when it answers. */
  static async start(
    name: ServerName,
    memoryFs: string,
    attributeSeconds: number,
    content: Content = 'planted',
  ): Promise<Server> {
    const mountPoint = await mkdtemp(join(tmpdir(), `bench-${name}-`));
    const [program, args] = commandOf(name, memoryFs, mountPoint, attributeSeconds, content);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const server = new Server(name, mountPoint, child);
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('error', reject);
      child.once('close', () => reject(new Error(`the server ${name} did not start`)));
    });
    return server;
  }

  /** Time on a processor so far, in us. */
  async cpuUs(): Promise<number> {
    return await cpuUsOf(this.#pid);
  }

  /** Memory in use, in MB of 2^20 bytes. */
  async rssMb(): Promise<number> {
    return await memoryMbOf(this.#pid, 'VmRSS');
  }

  get #pid(): number {
    return this.#child.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGTERM');
    await this.#exited;
    const { signal } = new AbortController();
    // A server that crashed leaves a dead mount.
    await run('umount', ['-l', this.mountPoint], signal, { allow: [1, 32] });
    await rmdir(this.mountPoint);
  }
}
