/** Chooses lines of the log, and makes of each what is shown. */
import type { LogLevel } from '../lib/log.ts';
import { entryLines, isAtLeast, type LogEntry, MountLines, readLogLine } from './log-lines.ts';
import type { Style } from './terminal.ts';

export interface LogViewOptions {
  /** Only of this mount. */
  readonly mountPoint?: string;
  /** Only what is at least as important; default: all. */
  readonly level?: LogLevel;
  /** As it is written. */
  readonly json: boolean;
  readonly paint: (style: Style, text: string) => string;
}

export class LogView {
  readonly #options: LogViewOptions;
  readonly #mount: MountLines | undefined;

  constructor(options: LogViewOptions) {
    const { mountPoint } = options;
    this.#options = options;
    this.#mount = mountPoint === undefined ? undefined : new MountLines(mountPoint);
  }

  wants(line: string): boolean {
    return this.#wants(readLogLine(line));
  }

  /** The last `count` of `lines` that are wanted, as they are shown. */
  last(lines: readonly string[], count: number): readonly string[] {
    if (this.#mount !== undefined) for (const line of lines) this.#mount.learn(readLogLine(line));
    const chosen: (readonly string[])[] = [];
    for (let at = lines.length - 1; at >= 0 && chosen.length < count; at -= 1) {
      const line = lines[at] ?? '';
      const entry = readLogLine(line);
      if (this.#wants(entry)) chosen.push(this.#shown(line, entry));
    }
    return chosen.reverse().flat();
  }

  /** A line that has just come, as it is shown; nothing when it is not wanted. */
  next(line: string): readonly string[] {
    const entry = readLogLine(line);
    this.#mount?.learn(entry);
    return this.#wants(entry) ? this.#shown(line, entry) : [];
  }

  #wants(entry: LogEntry | undefined): boolean {
    const { level = 'trace' } = this.#options;
    return isAtLeast(entry, level) && (this.#mount?.has(entry) ?? true);
  }

  #shown(line: string, entry: LogEntry | undefined): readonly string[] {
    const { json, paint } = this.#options;
    if (!json) return entry === undefined ? [line] : entryLines(entry, paint);
    // Whoever reads JSON shall not stumble over the one line that Node wrote.
    return [entry === undefined ? JSON.stringify({ event: 'output', text: line }) : line];
  }
}
