/** The only writer to stdout and stderr. Results go to stdout, everything said to a person to stderr. */
import { stripVTControlCharacters } from 'node:util';
import type { Environment } from '../config/settings.ts';
import { redactKnown } from '../lib/secret.ts';
import { Screen, type Size } from './screen.ts';

/** The part of a stream that is used; `process.stdout` is one. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  /** Told when nobody reads what is written. */
  on?(event: 'error', listener: () => void): unknown;
}

/**
 * What steers a terminal, or turns the order of what is read: C0 and C1 of ECMA-48, bidirectional
 * controls (Unicode TR9). Sequences of our own (`style`, `qr.ts`) are harmless: no other is kept.
 */
const steering =
  /(\x1b\[(?:[012]|3[123]|97;40)m)|[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

/** SGR parameters of ECMA-48 §8.3.117. */
const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

export class Terminal {
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #plain: boolean;
  readonly #hasScreen: boolean;
  /** A line that the next one replaces. */
  #live = false;
  #lost = false;
  #screen: Screen | undefined;

  constructor(stdout: Output, stderr: Output, environment: Environment) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    // no-color.org: any value but the empty one.
    this.#plain = Boolean(environment['NO_COLOR']) || environment['TERM'] === 'dumb';
    this.#hasScreen = this.resultWatched && environment['TERM'] !== 'dumb';
    stdout.on?.('error', () => {
      this.#lost = true;
    });
  }

  /** Whether a person watches stderr. */
  get watched(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Whether a person watches stdout. */
  get resultWatched(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** Whether the reader of results has gone away: `wire status --watch | head -1`. */
  get resultLost(): boolean {
    return this.#lost;
  }

  /** Room on stderr, in characters; 80 by 24 when nobody knows. */
  get size(): Size {
    const { columns, rows } = this.#stderr;
    return { columns: columns ?? 80, rows: rows ?? 24 };
  }

  get coloured(): boolean {
    return this.watched && !this.#plain;
  }

  /** The command's result, a line or several: to the letter for a program. */
  result(text: string): void {
    const shown = this.resultWatched ? text.split('\n').map(harmless).join('\n') : text;
    this.#stdout.write(`${shown}\n`);
  }

  /**
   * One line for the person, whoever wrote parts of it. A command whose purpose is a secret gives
   * it as its result.
   */
  say(line: string): void {
    this.#endLive();
    this.#stderr.write(`${harmless(redactKnown(line))}\n`);
  }

  /** What went wrong, in one line. Server texts in it cannot steer the terminal. */
  fail(line: string): void {
    const oneLine = stripVTControlCharacters(line)
      .replaceAll(/[\s\x00-\x1f\x7f]+/g, ' ')
      .trim();
    this.say(`${this.style('red', 'wire:')} ${oneLine}`);
  }

  /** A line that is replaced by the next; nothing where nobody watches. */
  live(line: string): void {
    if (!this.watched) return;
    this.#stderr.write(`\r${harmless(redactKnown(line))}\x1b[K`); // EL of ECMA-48: clear what an older, longer line left
    this.#live = true;
  }

  /** `text` in `style`, where that can be seen. */
  style(style: Style, text: string): string {
    return this.coloured ? `\x1b[${codes[style]}m${text}\x1b[0m` : text;
  }

  /** `text` in `style`, where results are seen by a person. */
  resultStyle(style: Style, text: string): string {
    const isPlain = this.#plain || !this.resultWatched;
    return isPlain ? text : `\x1b[${codes[style]}m${text}\x1b[0m`;
  }

  /** Results on a screen of their own, drawn anew each time; undefined where there is no terminal. */
  screen(): Screen | undefined {
    if (!this.#hasScreen) return undefined;
    this.#screen ??= new Screen(
      (text) => this.#stdout.write(text),
      () => ({ columns: this.#stdout.columns ?? 80, rows: this.#stdout.rows ?? 24 }),
      (line) => harmless(redactKnown(line)),
    );
    return this.#screen;
  }

  /** Gives the terminal back as it was; for the way out of a process. */
  restore(): void {
    this.#screen?.[Symbol.dispose]();
  }

  #endLive(): void {
    if (!this.#live) return;
    this.#stderr.write('\r\x1b[K');
    this.#live = false;
  }
}

/** `line` as it was meant to be read: servers name users, groups, buckets and errors. */
function harmless(line: string): string {
  return line.replace(steering, (found, own: string | undefined) => {
    return own ?? (found === '\t' ? ' ' : '?');
  });
}
