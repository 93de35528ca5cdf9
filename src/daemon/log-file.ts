/** The log file of a process: one JSON object a line, for our eyes only. */
import { MiB } from '../lib/bytes.ts';
import type { LogSink } from '../lib/log.ts';
import { LineFile, olderFileOf } from './line-file.ts';

/** At this size a new file is begun and one old one kept: some months of a daemon's `info`. */
const limits = { maxBytes: 10 * MiB, older: 1 };

/** Where the log was until it was begun anew. */
export function olderLogOf(path: string): string {
  return olderFileOf(path, 1);
}

/**
 * Opens `path` for appending, as a `LineFile`: a mount lives for months, and so does its log.
 *
 * @throws the system's error.
 */
export function openLogFile(path: string): LogSink & Disposable {
  const file = new LineFile(path, limits);
  const write = (line: string): void => {
    try {
      file.write(line);
    } catch {
      // A full disk must not stop a mount; there is nowhere to tell it.
    }
  };
  return Object.assign(write, { [Symbol.dispose]: () => file[Symbol.dispose]() });
}
