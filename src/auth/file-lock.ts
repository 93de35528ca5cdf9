/**
 * A lock that processes share through a file made with O_EXCL (Node has no flock).
 *
 * The file names its holder. A holder that ran in the same place (boot and pid namespace) and is
 * gone loses the lock at once; one of another place (a container or a host sharing the folder)
 * when its heartbeat has stood still for as long as we watched. Invariant: a lock file is removed
 * only by its holder, or under the breaker's own O_EXCL file after its content was read again.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';

import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { attempt, startOfProcess } from '../lib/process-start.ts';
import { WireError } from '../lib/wire-error.ts';

interface Holder {
  readonly pid: number;
  /** Tells a reused pid apart: field 22 of /proc/PID/stat (`proc(5)`). */
  readonly started: string;
  readonly place: string;
  readonly nonce: string;
}

const HEARTBEAT_MS = 2000;
/** Several missed heartbeats: a holder elsewhere is gone. */
const STILL_MS = 15_000;
/** A refresh takes at most two HTTP time limits; who waits longer should hear about it. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 30;
/** The breaker's work is three system calls in one turn; its file is never older alive. */
const BREAKER_MS = 10_000;

const EXCLUSIVE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Runs `work` while holding the lock `file`, whose folder exists. `work`'s signal aborts with
 * `signal` or when the lock is lost.
 *
 * @throws WireError `unavailable` when somebody else holds it for a minute.
 */
export async function withFileLock<T>(
  file: string,
  clock: Clock,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const nonce = await acquire(file, clock, signal);
  using held = new LinkedAbort(signal);
  // Not with `signal`: work that must not be interrupted goes on, and so must its heart.
  const beating = new AbortController();
  const heartbeat = beat(file, nonce, clock, held, beating.signal);
  try {
    return await work(held.signal);
  } finally {
    beating.abort();
    await heartbeat;
    if (readHolder(file)?.nonce === nonce) remove(file);
  }
}

/** A name for this process, told apart from any other of any machine and time. */
export function ownProcess(): string {
  const { pid, started, place } = ownIdentity();
  return `${pid} ${started} ${place}`;
}

/** Whether the process of that name still runs here; undefined when it was of another place. */
export function stillRuns(name: string): boolean | undefined {
  const [pid = '', started = '', ...place] = name.split(' ');
  if (place.join(' ') !== ownIdentity().place) return undefined;
  return startOfProcess(Number(pid)) === started;
}

async function acquire(file: string, clock: Clock, signal: AbortSignal): Promise<string> {
  const self = { ...ownIdentity(), nonce: randomBytes(16).toString('hex') };
  const start = clock.monotonic();
  const watch: Watch = { seen: '', sinceMs: start };
  while (!tryCreate(file, JSON.stringify(self))) {
    if (isGone(file, watch, self.place, clock.monotonic())) breakLock(file, watch.seen);
    if (clock.monotonic() - start > PATIENCE_MS) throw busy(file);
    // Different waiters wake at different times.
    await clock.sleep(RETRY_MS * (1 + Math.random()), signal);
  }
  return self.nonce;
}

/** What a waiter has seen of the holder, and since when it looked the same. */
interface Watch {
  seen: string;
  sinceMs: number;
}

function isGone(file: string, watch: Watch, place: string, nowMs: number): boolean {
  const seen = fingerprint(file);
  if (seen !== watch.seen) {
    watch.seen = seen;
    watch.sinceMs = nowMs;
  }
  if (seen === '') return false;
  const holder = readHolder(file);
  if (holder?.place === place) return startOfProcess(holder.pid) !== holder.started;
  return nowMs - watch.sinceMs > STILL_MS;
}

/** Content and heartbeat of the lock; empty when it is free. */
function fingerprint(file: string): string {
  try {
    return `${readFileSync(file, 'utf8')}@${statSync(file).mtimeMs}`;
  } catch {
    return '';
  }
}

/** One turn of the event loop, so that nothing of this process comes in between. */
function breakLock(file: string, seen: string): void {
  const breaker = `${file}.breaker`;
  if (!tryCreate(breaker, '')) {
    const made = statSync(breaker, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Date.now() - made > BREAKER_MS) remove(breaker);
    return;
  }
  try {
    if (fingerprint(file) === seen) remove(file);
  } finally {
    remove(breaker);
  }
}

async function beat(
  file: string,
  nonce: string,
  clock: Clock,
  held: LinkedAbort,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(HEARTBEAT_MS, signal);
      if (readHolder(file)?.nonce !== nonce) {
        held.abort(busy(file));
        return;
      }
      const now = clock.now() / 1000;
      utimesSync(file, now, now);
    }
  } catch (error) {
    // The end of the work stops the heart; a file that cannot be touched loses the lock.
    if (!signal.aborted) held.abort(error);
  }
}

/** @throws WireError `config` when there can be no file: no room, no right. */
function tryCreate(file: string, content: string): boolean {
  try {
    const fd = openSync(file, EXCLUSIVE, 0o600);
    try {
      writeSync(fd, content);
    } catch (error) {
      // An empty one would hold everybody up and name nobody.
      unlinkSync(file);
      throw error;
    } finally {
      closeSync(fd);
    }
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') return false;
    const facts = { tried: `lock ${file}`, answered: code ?? String(error) };
    const next = 'check that folder and that there is room in it';
    throw new WireError('config', { ...facts, next }, { cause: error });
  }
}

function readHolder(file: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>;
    const { pid, started, place, nonce } = holder;
    if (typeof pid !== 'number' || typeof nonce !== 'string') return undefined;
    return { pid, nonce, started: started ?? '', place: place ?? '' };
  } catch {
    return undefined;
  }
}

function ownIdentity(): Omit<Holder, 'nonce'> {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'));
  const place = `${hostname()} ${boot} ${namespace}`;
  return { pid: process.pid, started: startOfProcess(process.pid), place };
}

function remove(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}

function busy(file: string): WireError {
  const pid = readHolder(file)?.pid;
  return new WireError('unavailable', {
    tried: 'use the stored login',
    answered: pid === undefined ? `${file} is taken` : `process ${pid} holds ${file}`,
    next: 'end that process if it hangs, and try again',
  });
}
