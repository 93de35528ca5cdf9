/**
 * Structured log: one JSON object a line. Fields are plain values by name; a `Secret` prints as
 * `[secret]`, an `Error` as its name and message with its causes.
 */

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
    sink(JSON.stringify(entry, (_, value: unknown) => (isError(value) ? describe(value) : value)));
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

function isError(value: unknown): value is Error {
  return value instanceof Error;
}

function describe(error: Error): Record<string, unknown> {
  const { cause } = error;
  const facts = { name: error.name, message: error.message };
  return cause instanceof Error ? { ...facts, cause: describe(cause) } : facts;
}
