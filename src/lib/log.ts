/**
 * Structured log: one JSON object a line. Fields are plain values by name; a `Secret` prints as
 * `[secret]`, an `Error` as its name and message with its causes, bytes as their number. Every
 * text passes `redactKnown` on its way out, so that no line shows a secret that somebody quotes.
 */
import { redactKnown } from './secret.ts';
import { WireError } from './wire-error.ts';

export const logLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  trace(event: string, fields?: LogFields): void;
  /** The same log with `fields` on every line. */
  with(fields: LogFields): Log;
}

/** Takes one line, without its newline. */
export type LogSink = (line: string) => void;

/** Writes to `sink` what is at least as important as `level`. `now` gives ms since the epoch. */
export function createLog(
  sink: LogSink,
  level: LogLevel,
  now: () => number,
  context: LogFields = {},
): Log {
  const write = (at: LogLevel, event: string, fields: LogFields | undefined): void => {
    if (logLevels.indexOf(at) > logLevels.indexOf(level)) return;
    const entry = { time: new Date(now()).toISOString(), level: at, event, ...context, ...fields };
    sink(lineOf(entry));
  };
  return {
    error: (event, fields) => write('error', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    info: (event, fields) => write('info', event, fields),
    debug: (event, fields) => write('debug', event, fields),
    trace: (event, fields) => write('trace', event, fields),
    with: (fields) => createLog(sink, level, now, { ...context, ...fields }),
  };
}

/** A log that keeps nothing. */
export const silentLog: Log = createLog(
  () => undefined,
  'error',
  () => 0,
);

/** A log must not fail: what JSON cannot hold is left out. */
function lineOf(entry: LogFields): string {
  try {
    return JSON.stringify(entry, printable);
  } catch (error) {
    const { time, level, event } = entry;
    return JSON.stringify({ time, level, event, unprintable: String(error) }, printable);
  }
}

/** Replacer of `JSON.stringify`; `this` has the value as it was before `toJSON`. */
function printable(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Readonly<Record<string, unknown>>)[key];
  if (ArrayBuffer.isView(raw)) return `[${raw.byteLength} bytes]`;
  if (value instanceof Error) return describe(value, MAX_CAUSES);
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'string' ? redactKnown(value) : value;
}

/** Causes of causes beyond this tell nothing new, and might go in a circle. */
const MAX_CAUSES = 8;

function describe(error: Error, causes: number): Record<string, unknown> {
  const { name, message, cause } = error;
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const next = error instanceof WireError ? error.facts.next : undefined;
  const facts = { name, message, ...code, ...(next !== undefined && { next }) };
  if (!(cause instanceof Error) || causes === 0) return facts;
  return { ...facts, cause: describe(cause, causes - 1) };
}
