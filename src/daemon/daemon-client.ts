/**
 * Asks the user's daemon to mount, and starts one where none runs. Knows nothing of how mounts are
 * made, so that a command that asks is quick.
 *
 * However many ask at once, one daemon is started: a lock lets one of them look and start, the others
 * find what it started; and the daemon itself holds a lock for its life.
 */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { withLock } from '../cache/disk-lock.ts';
import { ensurePrivateDir } from '../config/paths.ts';
import type { Clock } from '../lib/clock.ts';
import { WireError } from '../lib/wire-error.ts';
import { answers, daemonSockets, requestMounts } from './control-client.ts';
import { DaemonEnds, type MountsAnswer } from './control-protocol.ts';
import type { MountsAsked } from './mounts-asked.ts';
import { whileAlive } from './sign-of-life.ts';

export interface DaemonClientFacts {
  readonly runtimeDir: string;
  readonly uid: number;
  readonly clock: Clock;
  /** Starts a daemon, and returns when it can be asked. @throws why it cannot. */
  readonly start: (signal: AbortSignal) => Promise<void>;
  /** Whether a process answers at all. Default: it tells its status. */
  readonly isAlive?: (socketPath: string, signal: AbortSignal) => Promise<boolean>;
}

/** A daemon that is ending is gone by then. */
const PATIENCE_MS = 15_000;
/** Between two looks whether it is. */
const ROUND_MS = 50;
/** Asked so often, since one that ends may hang up on what came in its last moment. */
const MAX_HANG_UPS = 3;

/** The daemon hung up: it ended while it was asked, by itself or not. */
class HungUp extends WireError {
  override readonly name = 'HungUp';
}

/**
 * Returns when all of `asked` is mounted.
 *
 * @throws WireError as the daemon refused, or why there is none; `unreachable` when it ended while
 *   it was asked, or shows no sign of life.
 */
export async function mountInDaemon(
  asked: MountsAsked,
  facts: DaemonClientFacts,
  signal: AbortSignal,
): Promise<MountsAnswer> {
  const { runtimeDir, uid, clock } = facts;
  await ensurePrivateDir(runtimeDir, uid, signal);
  const startMs = clock.monotonic();
  let hangUps = 0;
  while (clock.monotonic() - startMs < PATIENCE_MS) {
    try {
      const found = await askRunning(asked, facts, signal);
      if (found !== undefined) return found;
      const answer = await startAndAsk(asked, facts, signal);
      if (answer !== undefined) return answer;
    } catch (error) {
      hangUps += 1;
      // What it mounted went with it, or is dead: asking again takes the place of that.
      if (!(error instanceof HungUp) || hangUps >= MAX_HANG_UPS) throw error;
    }
    await clock.sleep(ROUND_MS, signal);
  }
  const answered = 'one is ending, and does not end';
  const next = 'see: wire logs';
  throw new WireError('unreachable', { tried: 'ask the daemon', answered, next });
}

/** One at a time; undefined: try again. */
async function startAndAsk(
  asked: MountsAsked,
  facts: DaemonClientFacts,
  signal: AbortSignal,
): Promise<MountsAnswer | undefined> {
  const { runtimeDir, clock, start } = facts;
  const lockFile = join(runtimeDir, 'start.lock');
  await withLock(
    lockFile,
    clock,
    async () => {
      if ((await daemonSockets(runtimeDir)).length === 0) await start(signal);
      await rm(lockFile, { force: true });
    },
    signal,
  );
  return await askRunning(asked, facts, signal);
}

/** Undefined where no daemon runs, or only one that is ending. */
async function askRunning(
  asked: MountsAsked,
  { runtimeDir, clock, isAlive = answers }: DaemonClientFacts,
  signal: AbortSignal,
): Promise<MountsAnswer | undefined> {
  for (const socket of await daemonSockets(runtimeDir)) {
    const life = {
      ...{ name: nameOf(socket), clock },
      isAlive: async (until: AbortSignal) => await isAlive(socket, until),
    };
    try {
      // A mount takes as long as its server does.
      return await whileAlive(
        async (until) => await requestMounts(socket, asked, until),
        life,
        signal,
      );
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof DaemonEnds) continue;
      if (error instanceof WireError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      // It was killed: nobody will listen there again, each process makes its own socket.
      if (code === 'ECONNREFUSED') await rm(socket, { force: true });
      else if (code !== 'ENOENT') throw hungUp(error);
    }
  }
  return undefined;
}

/** With the number that its socket is named for. */
function nameOf(socket: string): string {
  const pid = /^daemon-(\d+)\./.exec(basename(socket))?.[1];
  return pid === undefined ? 'the daemon' : `the daemon (process ${pid})`;
}

function hungUp(cause: unknown): HungUp {
  const answered = 'it ended meanwhile, or does not answer';
  const next = 'see: wire logs, wire status';
  return new HungUp('unreachable', { tried: 'ask the daemon', answered, next }, { cause });
}
