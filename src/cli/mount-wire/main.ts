/**
 * The helper of mount(8) for `-t wire`: `bin/mount.wire.js` imports this file. It starts a `wire
 * mount` that outlives it, ends when that has mounted, or has failed, and has the exit codes of
 * mount(8).
 *
 * Each mount is a process of its own, not one of the user's daemon: systemd puts all that a mount
 * unit starts into its control group, and ends it with the unit (systemd.kill(5)).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../lib/package-root.ts';
import { WireError } from '../../lib/wire-error.ts';
import { becomeUser } from './other-user.ts';
import { type HelperCall, mountCode, translateCall } from './translation.ts';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function help(argv: readonly string[]): Promise<number> {
  const call = translateCall(argv, process.cwd());
  if (call.verbose) process.stdout.write(`wire ${call.words.join(' ')}\n`);
  if (call.user !== undefined) becomeUser(call.user);
  return call.fake ? 0 : mountCode(await mount(call));
}

/** @returns 0 when it is mounted, else the exit code of wire. */
async function mount({ words, variables }: HelperCall): Promise<number> {
  const wire = join(packageRoot(), 'bin', 'wire.js');
  const child = spawn(process.execPath, [wire, ...words], {
    // A session of its own: Ctrl-C is for us, and no folder is kept busy.
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...variables },
  });
  for (const name of stopSignals) process.once(name, () => child.kill('SIGTERM'));
  child.stderr.pipe(process.stderr, { end: false });
  const code = await outcome(child, child.stdout);
  // It goes on, and its words are nobody's any more: it has its log.
  child.unref();
  return code;
}

/** The first line on its stdout says that the mount answers. */
async function outcome(child: ChildProcess, stdout: NodeJS.ReadableStream): Promise<number> {
  return await new Promise((resolve, reject) => {
    createInterface({ input: stdout }).once('line', (line) => {
      process.stdout.write(`${line}\n`, () => resolve(0));
    });
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

void main();

/** Not at the top of the module: the helper is bundled as CommonJS, which cannot wait there. */
async function main(): Promise<void> {
  try {
    process.exit(await help(process.argv.slice(2)));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    process.stderr.write(`mount.wire: ${error.toLine()}\n`, () =>
      process.exit(mountCode(error.exitCode)),
    );
  }
}
