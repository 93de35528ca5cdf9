/**
 * A screen of its own on a terminal, drawn anew in place, after which what was there before comes
 * back. Sequences are those of xterm, which every terminal of today knows (ECMA-48, and private
 * modes 25 and 1049).
 */

/** Of a terminal, in characters. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
/** What an older, longer line left; what older lines below left. */
const REST_OF_LINE = '\x1b[K';
const REST_OF_SCREEN = '\x1b[J';

export class Screen implements Disposable {
  readonly #write: (text: string) => void;
  readonly #size: () => Size;
  readonly #clean: (line: string) => string;
  #entered = false;

  /** @param clean takes out of a line what may not be shown: others wrote parts of it. */
  constructor(
    write: (text: string) => void,
    size: () => Size,
    clean: (line: string) => string = (line) => line,
  ) {
    this.#write = write;
    this.#size = size;
    this.#clean = clean;
  }

  get size(): Size {
    return this.#size();
  }

  /** Lines that are too long are cut; what does not fit below is told by number. */
  show(lines: readonly string[]): void {
    const { columns, rows } = this.#size();
    const fits = lines.length <= rows;
    const shown = fits ? lines : lines.slice(0, Math.max(rows - 1, 0));
    const more = fits ? [] : [`… ${lines.length - shown.length} more lines`];
    const text = [...shown, ...more].map(
      (line) => `${cut(this.#clean(line), columns)}${REST_OF_LINE}`,
    );
    // One write: a terminal that draws between two of them would flicker.
    this.#write(`${this.#entered ? '' : ENTER}${HOME}${text.join('\r\n')}${REST_OF_SCREEN}`);
    this.#entered = true;
  }

  [Symbol.dispose](): void {
    if (this.#entered) this.#write(LEAVE);
    this.#entered = false;
  }
}

const style = /^\x1b\[[\d;]*m/;
const RESET = '\x1b[0m';

/** Marks that take no room, and letters that take two columns (Unicode UAX 11, as terminals do). */
const noWidth = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const twoWide =
  /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

/** `line` in at most `columns`, its styles kept and ended. */
export function cut(line: string, columns: number): string {
  let width = 0;
  let isStyled = false;
  for (let at = 0; at < line.length; ) {
    const sequence = style.exec(line.slice(at))?.[0];
    if (sequence !== undefined) {
      isStyled = sequence !== RESET;
      at += sequence.length;
      continue;
    }
    const letter = String.fromCodePoint(line.codePointAt(at) ?? 0);
    width += noWidth.test(letter) ? 0 : twoWide.test(letter) ? 2 : 1;
    if (width > columns) return `${line.slice(0, at)}${isStyled ? RESET : ''}`;
    at += letter.length;
  }
  return line;
}
