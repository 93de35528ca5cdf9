/** Lines of the log as a person reads them, and which of them are wanted. Pure, but for `MountLines`. */
import { type LogLevel, logLevels } from '../lib/log.ts';
import type { Style } from './terminal.ts';

/** A line that wire wrote. */
export interface LogEntry {
  readonly time: string;
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Undefined for anything else, such as what Node says of a crash. */
export function readLogLine(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { time, level, event, ...fields } = json as Readonly<Record<string, unknown>>;
  const known = logLevels.find((each) => each === level);
  if (typeof time !== 'string' || known === undefined || typeof event !== 'string') {
    return undefined;
  }
  return { time, level: known, event, fields };
}

/** At least as important as `level`; what is no entry counts as an error. */
export function isAtLeast(entry: LogEntry | undefined, level: LogLevel): boolean {
  return entry === undefined || logLevels.indexOf(entry.level) <= logLevels.indexOf(level);
}

/**
 * Which lines are about one mount: those that name it, and those of the processes that serve it
 * which name none (the login, credentials, the network).
 */
export class MountLines {
  readonly #mountPoint: string;
  readonly #pids = new Set<unknown>();

  constructor(mountPoint: string) {
    this.#mountPoint = mountPoint;
  }

  /** Takes note of who serves the mount. */
  learn(entry: LogEntry | undefined): void {
    if (entry?.fields['mountPoint'] === this.#mountPoint) this.#pids.add(entry.fields['pid']);
  }

  has(entry: LogEntry | undefined): boolean {
    if (entry === undefined) return false;
    const { mountPoint, pid } = entry.fields;
    return mountPoint === undefined ? this.#pids.has(pid) : mountPoint === this.#mountPoint;
  }
}

const levelStyles: Readonly<Record<LogLevel, Style | undefined>> = {
  error: 'red',
  warn: 'yellow',
  info: undefined,
  debug: 'dim',
  trace: 'dim',
};

const LEVEL_CHARS = 5;

/** `2026-11-22 17:15:02 warn  event  name=value …`; a stack below it. */
export function entryLines(
  { time, level, event, fields }: LogEntry,
  paint: (style: Style, text: string) => string,
): readonly string[] {
  const { mountPoint, stack, ...rest } = fields;
  const style = levelStyles[level];
  const shown = level.padEnd(LEVEL_CHARS);
  const parts = [
    localTime(time),
    style === undefined ? shown : paint(style, shown),
    paint('bold', event),
    ...(typeof mountPoint === 'string' ? [mountPoint] : []),
    ...Object.entries(rest).map(
      ([name, value]) => `${paint('dim', `${name}=`)}${valueText(value)}`,
    ),
  ];
  const below = typeof stack === 'string' ? stack.split('\n').slice(1) : [];
  return [parts.join(' '), ...below.map((line) => `    ${line.trim()}`)];
}

/** In this machine's zone; as it is when it is no time. */
function localTime(time: string): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time;
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return /[\s="]/.test(value) ? JSON.stringify(value) : value;
  return isError(value) ? errorText(value) : JSON.stringify(value);
}

/** An error as `lib/log.ts` writes it. */
interface LoggedError {
  readonly message: string;
  readonly code?: unknown;
  readonly cause?: unknown;
}

function isError(value: unknown): value is LoggedError {
  const { name, message } = (value ?? {}) as Readonly<Record<string, unknown>>;
  return typeof name === 'string' && typeof message === 'string';
}

/** With what it came of: `"no answer" <- "connect ECONNREFUSED" (ECONNREFUSED)`. */
function errorText({ message, code, cause }: LoggedError): string {
  const named = typeof code === 'string' ? ` (${code})` : '';
  return `${JSON.stringify(message)}${named}${isError(cause) ? ` <- ${errorText(cause)}` : ''}`;
}
