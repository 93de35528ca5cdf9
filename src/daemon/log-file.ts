/** The log file of a process: one JSON object a line, for our eyes only. */
import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import type { LogSink } from '../lib/log.ts';

/** At this size a new file is begun and one old one kept: some months of a daemon's `info`. */
const MAX_LOG_BYTES = 10 * 1024 * 1024;

const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/**
 * Opens `path` for appending. Lines are written at once and whole: after a crash the last one is
 * there, and several processes may share the file.
 *
 * @throws the system's error.
 */
export function openLogFile(path: string): LogSink & Disposable {
  let fd = openSync(path, flags, 0o600);
  if (fstatSync(fd).size > MAX_LOG_BYTES) {
    closeSync(fd);
    renameSync(path, `${path}.1`);
    fd = openSync(path, flags, 0o600);
  }
  const write = (line: string): void => {
    try {
      writeSync(fd, `${line}\n`);
    } catch {
      // A full disk must not stop a mount; there is nowhere to tell it.
    }
  };
  return Object.assign(write, { [Symbol.dispose]: () => closeSync(fd) });
}
