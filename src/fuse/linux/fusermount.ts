/**
 * fusermount3, the set-user-id helper of libfuse with which ordinary users mount. It opens
 * /dev/fuse, mounts, and sends the descriptor over the socket named in `_FUSE_COMMFD`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import type { NativeAddon } from '../native.ts';
import type { MountOptions } from '../transport.ts';
import { fusermountOptions } from './mount-options.ts';

const PROGRAM = 'fusermount3';
/** Debian, Fedora and Arch install it here; the last places to look when PATH is bare. */
const USUAL_FOLDERS = ['/usr/bin', '/bin', '/usr/local/bin'];
/** At exit we wait this long for the helper at most. */
const EXIT_PATIENCE_MS = 2000;
/** Its messages are one line; more is not worth keeping. */
const STDERR_CHARS = 2000;

export interface HelperFailure {
  /** What the helper printed, or how it ended. */
  readonly said: string;
}

export async function findFusermount(): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...folders, ...USUAL_FOLDERS]) {
    const path = join(folder, PROGRAM);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return path;
  }
  return undefined;
}

/** Mounts and returns the descriptor of /dev/fuse. The helper is quick and is not interrupted. */
export async function mountByHelper(
  addon: NativeAddon,
  program: string,
  options: MountOptions,
): Promise<number | HelperFailure> {
  const [ours, theirs] = addon.socketPair();
  try {
    const args = ['-o', fusermountOptions(options), '--', options.mountPoint];
    const failure = await runHelper(program, args, theirs);
    if (failure !== undefined) return failure;
    const descriptor = addon.receiveDescriptor(ours);
    if (descriptor >= 0) return descriptor;
    return { said: `it sent no descriptor: ${getSystemErrorName(descriptor)}` };
  } finally {
    addon.closeDescriptor(ours);
    addon.closeDescriptor(theirs);
  }
}

export async function unmountByHelper(
  program: string,
  mountPoint: string,
  lazy: boolean,
): Promise<HelperFailure | undefined> {
  return await runHelper(program, unmountArgs(mountPoint, lazy), 'ignore');
}

/** For the last moments of a process. */
export function unmountByHelperNow(program: string, mountPoint: string): void {
  spawnSync(program, unmountArgs(mountPoint, true), {
    stdio: 'ignore',
    timeout: EXIT_PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
}

function unmountArgs(mountPoint: string, lazy: boolean): readonly string[] {
  return lazy ? ['-u', '-z', '--', mountPoint] : ['-u', '--', mountPoint];
}

async function runHelper(
  program: string,
  args: readonly string[],
  socket: number | 'ignore',
): Promise<HelperFailure | undefined> {
  // The socket becomes descriptor 3 of the helper; its standard error must be a real one, since it
  // would otherwise lose its message.
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe', socket],
    env: { ...process.env, LC_ALL: 'C', _FUSE_COMMFD: '3' },
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < STDERR_CHARS) said += text;
  });
  return await new Promise((resolve) => {
    child.on('error', (error) => resolve({ said: error.message }));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve({ said: said.trim() || `it ended with ${signal ?? `code ${code}`}` });
    });
  });
}
