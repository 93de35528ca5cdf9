import { describe, expect, it } from 'vitest';
import { cut, Screen } from '../../../src/cli/screen.ts';
import { Terminal } from '../../../src/cli/terminal.ts';

function screenOf(columns: number, rows: number): { readonly screen: Screen; written: string } {
  const told = { written: '' };
  const screen = new Screen(
    (text) => (told.written += text),
    () => ({ columns, rows }),
  );
  return Object.assign(told, { screen });
}

describe('a screen of its own', () => {
  it('is drawn in place, and what was there before comes back', () => {
    const told = screenOf(20, 5);
    told.screen.show(['one', 'two']);
    expect(told.written).toBe('\x1b[?1049h\x1b[?25l\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J');
    told.written = '';
    told.screen.show(['three']);
    expect(told.written).toBe('\x1b[Hthree\x1b[K\x1b[J');
    told.written = '';
    told.screen[Symbol.dispose]();
    told.screen[Symbol.dispose]();
    expect(told.written).toBe('\x1b[?25h\x1b[?1049l');
  });

  it('fits: what is too long or too much is left out, and said', () => {
    const told = screenOf(6, 3);
    told.screen.show(['123456789', 'b', 'c', 'd']);
    expect(told.written).toContain('\x1b[H123456\x1b[K\r\nb\x1b[K\r\n… 2 mo\x1b[K\x1b[J');
  });

  it('lets no text of others steer it', () => {
    let written = '';
    const output = { write: (text: string) => (written += text), isTTY: true };
    const screen = new Terminal(output, output, {}).screen();
    screen?.show(['a\x1b[2Jb\x9b2J\nc']);
    expect(written).toContain('\x1b[Ha?[2Jb?2J?c\x1b[K');
  });

  it('is there on a terminal alone, and given back at the way out', () => {
    let written = '';
    const output = { write: (text: string) => (written += text) };
    expect(new Terminal(output, output, {}).screen()).toBeUndefined();
    const watched = { ...output, isTTY: true };
    expect(new Terminal(watched, watched, { TERM: 'dumb' }).screen()).toBeUndefined();
    const terminal = new Terminal(watched, watched, {});
    terminal.restore();
    expect(written).toBe('');
    terminal.screen()?.show(['x']);
    terminal.restore();
    terminal.restore();
    expect(written.match(/\x1b\[\?1049l/g)).toHaveLength(1);
  });
});

describe('cut', () => {
  it.each([
    ['plain', 3, 'pla'],
    ['fits', 4, 'fits'],
    ['日本語', 5, '日本'],
    ['e\u0301e\u0301e\u0301', 2, 'e\u0301e\u0301'],
    ['\x1b[31mred\x1b[0m and more', 6, '\x1b[31mred\x1b[0m an'],
    ['\x1b[31mlong red\x1b[0m', 4, '\x1b[31mlong\x1b[0m'],
    ['anything', 0, ''],
  ])('makes of %j in %d columns %j', (line, columns, shown) => {
    expect(cut(line, columns)).toBe(shown);
  });
});

describe('styles of results', () => {
  it('are there where a person looks who has not said NO_COLOR', () => {
    const watched = { write: () => true, isTTY: true };
    const piped = { write: () => true };
    const styled = (
      stdout: { write: () => boolean },
      environment: Record<string, string>,
    ): string => new Terminal(stdout, watched, environment).resultStyle('red', 'x');
    expect(styled(watched, {})).toBe('\x1b[31mx\x1b[0m');
    expect(styled(watched, { NO_COLOR: '1' })).toBe('x');
    expect(styled(watched, { TERM: 'dumb' })).toBe('x');
    expect(styled(piped, {})).toBe('x');
  });
});
