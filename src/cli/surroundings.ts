/** The surroundings of a command in a real process. */
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePrivateDir, locatePaths, type Paths } from '../config/paths.ts';
import type { Environment } from '../config/settings.ts';
import { startDetached, starterOf } from '../daemon/detach.ts';
import { stopSignalsOf } from '../daemon/stop-signals.ts';
import { systemClock } from '../lib/clock.ts';
import {
  createLog,
  type Log,
  type LogLevel,
  type LogSink,
  logLevels,
  silentLog,
} from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import type { CliSurroundings, LogFlags } from './context.ts';
import { Terminal } from './terminal.ts';

/** The log of this process: where it goes is known only when the flags are read. */
export interface ProcessLog {
  readonly log: Log;
  readonly file: string | undefined;
}

/** `environment`: with the secrets that `process.env` has no more. */
export function processSurroundings(
  version: string,
  environment: Environment,
  opened: (log: ProcessLog) => void,
): CliSurroundings {
  const { platform } = process;
  const uid = process.getuid?.() ?? -1;
  const home = homeOf();
  const paths = locatePaths({ environment, home, uid, temporaryDir: tmpdir() });
  let logFile: string | undefined;
  const terminal = new Terminal(process.stdout, process.stderr, environment);
  return {
    terminal,
    environment,
    paths,
    uid,
    platform,
    workingDirectory: process.cwd(),
    clock: systemClock,
    version,
    signals: stopSignalsOf(process),
    starter: starterOf(process),
    daemon: async (log, settings) => {
      await keepMemorySmall();
      const { openDaemon } = await import('../daemon/composition.ts');
      const gid = process.getgid?.() ?? -1;
      const { pid } = process;
      const clock = systemClock;
      const facts = {
        paths,
        environment,
        uid,
        gid,
        pid,
        version,
        clock,
        log,
        logFile,
        atExit,
      };
      return await openDaemon(facts, settings, new AbortController().signal);
    },
    command: [...process.execArgv, ...process.argv.slice(1)],
    startDetached,
    detachedLogFile: async (signal) => await defaultLogFile(paths, uid, signal),
    mountInDaemon: async (asked, flags, signal) => {
      const { askDaemon } = await import('./daemon-request.ts');
      const logFile = async (): Promise<string> => await defaultLogFile(paths, uid, signal);
      const facts = { environment, paths, uid, version, clock: systemClock, logFile };
      return await askDaemon(asked, flags, facts, signal);
    },
    leaveWorkingDirectory: () => process.chdir('/'),
    openLog: async (flags) => {
      const log = await openProcessLog(flags, environment, { paths, uid }, terminal);
      opened(log);
      logFile = log.file;
      return log.log;
    },
  };
}

/**
 * V8 frees the memory that short-lived buffers own when it collects the young generation. Unless
 * that grows, it does so often, and a mount that is busy needs 20 MB less. Not for every command:
 * what node:v8 brings along takes 8 ms to load.
 */
async function keepMemorySmall(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Undefined where the user database has no entry for us and HOME is not set. */
function homeOf(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

function atExit(undo: () => void): Disposable {
  process.on('exit', undo);
  return { [Symbol.dispose]: () => process.off('exit', undo) };
}

/** @throws WireError `usage` or `config` for a level or a file that cannot be. */
async function openProcessLog(
  flags: LogFlags,
  environment: Environment,
  place: Pick<CliSurroundings, 'paths' | 'uid'>,
  terminal: Terminal,
): Promise<ProcessLog> {
  const level = readLevel(flags.logLevel, environment['WIRE_LOG']);
  const variable = environment['WIRE_LOG_FILE'];
  const named = flags.logFile ?? (variable === '' ? undefined : variable);
  const make = (sink: LogSink): Log => {
    return createLog(sink, level, () => systemClock.now(), { pid: process.pid });
  };
  if (named === '-') return { log: make((line) => terminal.say(line)), file: undefined };
  try {
    const file =
      named ?? (await defaultLogFile(place.paths, place.uid, new AbortController().signal));
    const { openLogFile } = await import('../daemon/log-file.ts');
    return { log: make(openLogFile(file)), file };
  } catch (error) {
    // Without a place for it there is no log; a file that was asked for must be there.
    if (named === undefined) return { log: silentLog, file: undefined };
    const answered = (error as NodeJS.ErrnoException).code ?? String(error);
    const facts = { tried: `log to ${named}`, answered, next: 'name a file in a folder of yours' };
    throw new WireError('config', facts, { cause: error });
  }
}

/** The log file of a run when none is named; its folder is made. */
async function defaultLogFile(paths: Paths, uid: number, signal: AbortSignal): Promise<string> {
  await ensurePrivateDir(paths.stateDir, uid, signal);
  return join(paths.stateDir, 'wire.log');
}

function readLevel(flag: string | undefined, variable: string | undefined): LogLevel {
  const text = flag ?? (variable === '' || variable === undefined ? 'info' : variable);
  const level = logLevels.find((known) => known === text);
  if (level !== undefined) return level;
  throw new WireError(flag === undefined ? 'config' : 'usage', {
    tried: `log at ${text}`,
    answered: 'there is no such level',
    next: `take one of ${logLevels.join(', ')}`,
  });
}
