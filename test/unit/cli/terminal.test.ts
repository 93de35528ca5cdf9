import { describe, expect, it } from 'vitest';
import { Terminal } from '../../../src/cli/terminal.ts';
import { Secret } from '../../../src/lib/secret.ts';

/** Clears the screen, sets the title, hides text, turns the order of reading; C1 for C0 as well. */
const hostile = 'a\x1b[2Jb\x1b]0;title\x07c\x1b[8md\u202ee\u2066f\x9b2Jg\x85h\ri\nj\u2028k';
const harmless = 'a?[2Jb?]0;title?c?[8md?e?f?2Jg?h?i?j?k';

function terminalOf(isTTY: boolean): { readonly terminal: Terminal; out: string; err: string } {
  const written = { out: '', err: '' };
  const terminal = new Terminal(
    { write: (text) => (written.out += text), isTTY },
    { write: (text) => (written.err += text), isTTY },
    {},
  );
  return Object.assign(written, { terminal });
}

describe('Terminal', () => {
  it.each([true, false])('lets no text of a server steer it (watched: %s)', (isTTY) => {
    const written = terminalOf(isTTY);
    written.terminal.say(hostile);
    expect(written.err).toBe(`${harmless}\n`);
  });

  it('lets no text of a server steer it in a failure, nor begin a line there', () => {
    const written = terminalOf(false);
    written.terminal.fail(`it said ${hostile}\nwire: all is well`);
    expect(written.err.match(/\n/g)).toHaveLength(1);
    expect(written.err).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]/);
  });

  it('keeps its own styles, and the letters of names in any script', () => {
    const written = terminalOf(true);
    const line = `${written.terminal.style('bold', 'Zoë 山田 فاطمه')} \x1b[97;40m█\x1b[0m`;
    written.terminal.say(line);
    expect(written.err).toBe(`${line}\n`);
  });

  it('shows no steering in a line that the next one replaces, nor a secret', () => {
    const written = terminalOf(true);
    const secret = new Secret('a-secret-in-a-live-line');
    written.terminal.live(`x\x1b[8m${secret.reveal()}`);
    expect(written.err).toBe('\rx?[8m[secret]\x1b[K');
  });

  it('gives a result to the letter to a program, and harmless to a person', () => {
    const toProgram = terminalOf(false);
    toProgram.terminal.result(hostile);
    expect(toProgram.out).toBe(`${hostile}\n`);
    const toPerson = terminalOf(true);
    toPerson.terminal.result('one\x1b[2J\n{\n  "two": "\x9b8m"\n}');
    expect(toPerson.out).toBe('one?[2J\n{\n  "two": "?8m"\n}\n');
  });
});
