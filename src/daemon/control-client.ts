/** Asks the processes that mount, over their control sockets. */
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { LinkedAbort } from '../lib/abort.ts';
import { WireError } from '../lib/wire-error.ts';
import {
  DaemonEnds,
  ENDING_STATUS,
  type FilesRequest,
  MAX_ANSWER_BYTES,
  type MountsAnswer,
  type ProcessStatus,
  REQUEST_ID,
  readFilesLine,
  readMountsAnswer,
  readProcessStatus,
  readRefusal,
  type UnmountRequest,
} from './control-protocol.ts';
import { socketSuffix } from './control-server.ts';
import type { FileProgress } from './mount-parts.ts';
import { formatMountsAsked, type MountsAsked } from './mounts-asked.ts';

/** A living process and the socket it answers on. */
export interface FoundProcess {
  readonly socketPath: string;
  readonly status: ProcessStatus;
}

/** Longest wait for a status: a process that is stopped (SIGSTOP) or wedged must not hold up the rest. */
const STATUS_MS = 3_000;

/** Longest wait for what was asked for to be undone. */
const UNDO_MS = 10_000;

/**
 * Every process that answers on a socket in `runtimeDir`. Sockets whose process is gone are
 * removed; one that does not answer in time is left out.
 *
 * @throws WireError `config` for a folder that others made, or may write to: they would tell of
 *   mounts that are none, and have sockets of ours elsewhere removed by a link.
 */
export async function findProcesses(
  runtimeDir: string,
  signal: AbortSignal,
): Promise<readonly FoundProcess[]> {
  const names = await socketsIn(runtimeDir);
  const asked = names.map(async (name) => await ask(join(runtimeDir, name), signal));
  return (await Promise.all(asked)).filter((found) => found !== undefined);
}

/** Whether the process at `socketPath` tells its status in time. @throws when `signal` aborts. */
export async function answers(socketPath: string, signal: AbortSignal): Promise<boolean> {
  return (await ask(socketPath, signal)) !== undefined;
}

/** @throws WireError as the process refused. */
export async function requestUnmount(
  socketPath: string,
  asked: UnmountRequest,
  signal: AbortSignal,
): Promise<void> {
  await call(socketPath, { method: 'POST', path: '/unmount', body: JSON.stringify(asked) }, signal);
}

/**
 * Has it mounted what `asked`, which may hold secrets, says. After an abort it returns when the
 * process has undone what it had begun, so that nothing appears later; or with the answer, when that
 * was on its way already.
 *
 * @throws WireError as the process refused; the system's error when nobody listens there, or the
 *   process ended meanwhile.
 */
export async function requestMounts(
  socketPath: string,
  asked: MountsAsked,
  signal: AbortSignal,
): Promise<MountsAnswer> {
  signal.throwIfAborted();
  const headers = { [REQUEST_ID]: randomUUID() };
  const givingUp = new AbortController();
  const takeBack = (): void => {
    const limit = AbortSignal.timeout(UNDO_MS);
    limit.addEventListener('abort', () => givingUp.abort(), { once: true });
    const taken = call(socketPath, { method: 'DELETE', path: '/mounts', headers }, limit);
    // It knows of no such request: that had not arrived, and will not.
    taken.catch(() => givingUp.abort());
  };
  signal.addEventListener('abort', takeBack, { once: true });
  try {
    const body = formatMountsAsked(asked);
    const ask = { method: 'POST', path: '/mounts', body, headers } as const;
    return readMountsAnswer(await call(socketPath, ask, givingUp.signal));
  } finally {
    signal.removeEventListener('abort', takeBack);
  }
}

/**
 * The sockets of daemons in `runtimeDir`, of which at most one answers.
 *
 * @throws WireError as `findProcesses`.
 */
export async function daemonSockets(runtimeDir: string): Promise<readonly string[]> {
  const names = await socketsIn(runtimeDir);
  return names.filter((name) => name.startsWith('daemon-')).map((name) => join(runtimeDir, name));
}

/**
 * Does something with files of a mount, telling how far it is.
 *
 * @throws WireError as the process refused; `unreachable` when it ended meanwhile.
 */
export async function requestFiles(
  socketPath: string,
  asked: FilesRequest,
  progress: (done: FileProgress) => void,
  signal: AbortSignal,
): Promise<FileProgress> {
  const body = JSON.stringify(asked);
  const answer = await send(socketPath, { method: 'POST', path: '/files', body }, signal);
  if (answer.statusCode !== 200) throw readRefusal(await readAnswer(answer));
  for await (const line of createInterface({
    input: answer,
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    const told = readFilesLine(line);
    if (told.done) return told.progress;
    progress(told.progress);
  }
  signal.throwIfAborted();
  const answered = 'the process that mounts it ended';
  throw new WireError('unreachable', { tried: `${asked.verb} files`, answered });
}

async function socketsIn(runtimeDir: string): Promise<readonly string[]> {
  try {
    const fault = faultOf(await lstat(runtimeDir));
    if (fault !== undefined) {
      const tried = `look for control sockets in ${runtimeDir}`;
      const next = 'set WIRE_RUNTIME_DIR to a folder of your own';
      throw new WireError('config', { tried, answered: fault, next });
    }
    return (await readdir(runtimeDir)).filter((name) => name.endsWith(socketSuffix));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Why a folder cannot be one of ours. Windows has neither owners nor modes. */
function faultOf(folder: Stats): string | undefined {
  if (!folder.isDirectory()) return 'it is not a folder';
  const own = process.geteuid?.();
  if (own === undefined) return undefined;
  if (folder.uid !== own) return `it belongs to uid ${folder.uid}`;
  return (folder.mode & 0o077) === 0 ? undefined : 'others can enter it';
}

async function ask(socketPath: string, signal: AbortSignal): Promise<FoundProcess | undefined> {
  using asking = new LinkedAbort(signal);
  // Not `AbortSignal.any`, which holds its sources weakly: Node 20 may collect a timeout that only
  // it knows, and the timeout never comes. One with a listener is kept.
  const limit = AbortSignal.timeout(STATUS_MS);
  limit.addEventListener('abort', () => asking.abort(limit.reason), { once: true });
  try {
    const text = await call(socketPath, { method: 'GET', path: '/status' }, asking.signal);
    return { socketPath, status: readProcessStatus(text) };
  } catch (error) {
    signal.throwIfAborted();
    // Nobody listens, and nobody will: each process makes its own socket.
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED')
      await rm(socketPath, { force: true });
    return undefined;
  }
}

interface Ask {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The body of the answer. */
async function call(socketPath: string, ask: Ask, signal: AbortSignal): Promise<string> {
  const answer = await send(socketPath, ask, signal);
  const text = await readAnswer(answer);
  if (answer.statusCode === ENDING_STATUS) throw new DaemonEnds();
  if (answer.statusCode !== 200) throw readRefusal(text);
  return text;
}

async function send(
  socketPath: string,
  { method, path, body, headers }: Ask,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers, signal, agent: false }, resolve);
    sent.on('error', reject);
    sent.end(body);
  });
}

async function readAnswer(answer: IncomingMessage): Promise<string> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const chunk of answer as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_ANSWER_BYTES) {
      throw new WireError('internal', { tried: 'read an answer', answered: 'it is too large' });
    }
  }
  return text;
}
