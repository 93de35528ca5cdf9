/**
 * How long a person waits: for `wire --help`, and for a mount, from the start of a new process to
 * the answer to a stat of the root (a login in the vault, everything on loopback). Rounds alternate
 * with `node -e 0`, which is the part of it that no program can do anything about.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../scripts/demo/programs.ts';
import { WireUser } from '../scripts/demo/wire-user.ts';
import { raceAbort } from '../src/lib/abort.ts';
import { ChildProgram } from './child-program.ts';
import type { SuiteOptions, SuiteOutcome } from './main.ts';
import type { PlaygroundFacts } from './start-playground.ts';

/** Goals, in ms. */
const HELP_LIMIT = 80;
const MOUNT_LIMIT = 250;
/** A start is short: less than this many rounds tell of the machine, not of wire. */
const LEAST_ROUNDS = 9;
/** Of utime and stime in /proc/PID/stat (proc(5)), in ms. */
const TICK_MS = 10;

export async function measureStart({ rounds, signal }: SuiteOptions): Promise<SuiteOutcome> {
  const script = new URL('./start-playground.js', import.meta.url);
  await using child = await ChildProgram.start<PlaygroundFacts>(script, [], signal);
  const { facts } = child;
  await using user = await WireUser.create(join(process.cwd(), 'bin', 'wire.js'));
  const login = [facts.issuer, '--audience', facts.audience];
  await user.login(login, 'alice', () => undefined, signal);
  const node: number[] = [];
  const help: number[] = [];
  const ready: MountStart[] = [];
  const background: number[] = [];
  // The first round fills the system's cache of files, and is not counted.
  for (let round = 0; round <= Math.max(rounds, LEAST_ROUNDS); round += 1) {
    const first = round === 0;
    const nodeMs = await timed(async () => await run(process.execPath, ['-e', '0'], signal));
    const helpMs = await timed(async () => await user.wire(['--help'], signal));
    const mounted = await mountHere(user, mountWords(user, facts, `m${round}`), signal);
    const there = mountWords(user, facts, `d${round}`);
    const backgroundMs = await timed(async () => await mountBehind(user, there, signal));
    await user.wire(['unmount', there.mountPoint], signal);
    if (first) continue;
    node.push(nodeMs);
    help.push(helpMs);
    ready.push(mounted);
    background.push(backgroundMs);
  }
  const limit = (ms: number): { readonly limit: readonly number[] } => ({ limit: [ms] });
  const time = { unit: 'ms', better: 'smaller' } as const;
  const wall = ready.map(({ wallMs }) => wallMs);
  return {
    measurements: [
      { ...time, name: 'help', wire: help, others: limit(HELP_LIMIT) },
      { ...time, name: 'mount-ready', wire: wall, others: limit(MOUNT_LIMIT) },
      { ...time, name: 'mount-ready-daemon', wire: background, others: limit(MOUNT_LIMIT) },
    ],
    notes: {
      'node -e 0, ms': node.map((ms) => ms.toFixed(0)).join(' '),
      'CPU of a mount when it is ready, ms': ready.map(({ cpuMs }) => cpuMs.toFixed(0)).join(' '),
    },
  };
}

interface MountWords {
  readonly words: readonly string[];
  readonly mountPoint: string;
}

interface MountStart {
  readonly wallMs: number;
  readonly cpuMs: number;
}

function mountWords(user: WireUser, facts: PlaygroundFacts, name: string): MountWords {
  const { bucket, endpoint, audience, role } = facts;
  const mountPoint = join(user.folder, name);
  const where = ['--endpoint', endpoint, '--audience', audience, '--role', role];
  return { mountPoint, words: ['mount', `s3://${bucket}`, mountPoint, ...where, '--mkdir'] };
}

/** In the foreground: it says so when it is ready, and unmounts at a signal. */
async function mountHere(
  user: WireUser,
  { words, mountPoint }: MountWords,
  signal: AbortSignal,
): Promise<MountStart> {
  const [program = '', ...args] = user.commandLine(words);
  const started = performance.now();
  const child = spawn(program, args, {
    env: { ...process.env, ...user.environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  try {
    const early = ended.then(() => Promise.reject(new Error('the mount ended too early')));
    await raceAbort(Promise.race([once(child.stdout, 'data'), early]), signal);
    early.catch(() => undefined);
    await stat(mountPoint);
    return { wallMs: performance.now() - started, cpuMs: await cpuOf(child.pid ?? 0) };
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

/** In the background: the command returns when the mount is ready. */
async function mountBehind(
  user: WireUser,
  { words, mountPoint }: MountWords,
  signal: AbortSignal,
): Promise<void> {
  await user.wire([...words, '--daemon'], signal);
  await stat(mountPoint);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function cpuOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name in brackets may hold spaces; fields 14 and 15 are utime and stime.
  const fields = text.slice(text.lastIndexOf(') ') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
