import { describe, expect, it } from 'vitest';
import { manPages } from '../../../scripts/man-pages.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { Terminal } from '../../../src/cli/terminal.ts';
import { options } from '../../../src/config/options.ts';
import { exitCodeOf } from '../../../src/lib/wire-error.ts';

const pages = await manPages({ version: '1.2.3', date: '2026-01-02' });

function page(file: string): string {
  return pages.find((each) => each.file === file)?.text ?? '';
}

/** What a reader of the page sees of a word with hyphens. */
function asShown(text: string): string {
  return text.replaceAll('\\-', '-').replaceAll('\\:', '');
}

const nowhere = { write: () => undefined };
const idle = () => async (): Promise<void> => await Promise.resolve();
const program = await buildProgram('1.2.3', new Terminal(nowhere, nowhere, {}), idle, 'all');
const commands = program
  .createHelp()
  .visibleCommands(program)
  .filter((each) => each.name() !== 'help');

describe('the manual', () => {
  it('has a page for wire, for each command, for the file and for the helper', () => {
    const names = commands.map((command) => `wire-${command.name()}.1`);
    const wanted = ['wire.1', ...names, 'wire-config.5', 'mount.wire.8'];
    expect(pages.map(({ file }) => file)).toEqual(wanted);
    expect(names.length).toBeGreaterThan(15);
    for (const { text } of pages) expect(text).toContain('"2026-01-02" "wire 1.2.3"');
  });

  it.each(commands.map((command) => [command.name(), command] as const))(
    'tells every flag of wire %s, and its examples',
    (name, command) => {
      const text = asShown(page(`wire-${name}.1`));
      for (const { flags } of command.createHelp().visibleOptions(command)) {
        expect(text).toContain(`\\fB${flags}\\fR`);
      }
      for (const { name: nested } of command.commands.map((each) => ({ name: each.name() }))) {
        if (nested !== 'help') expect(text).toContain(`\\fBwire ${name} ${nested}\\fR`);
      }
      const examples = text.split('.SH EXAMPLES')[1]?.split('.SH')[0] ?? '';
      expect(examples).toContain(`wire ${name}`);
    },
  );

  it('tells every key of a profile, every variable, and every option of mount -t wire', () => {
    const config = asShown(page('wire-config.5'));
    for (const { key, environment } of Object.values(options)) {
      if (key !== undefined) expect(config).toContain(`\\fB${key}\\fR`);
      expect(config).toContain(`\\fB${environment}\\fR`);
    }
    expect(asShown(page('mount.wire.8'))).toContain('\\fBcache-size\\fR=\\fIsize\\fR');
  });

  it('tells every exit code', () => {
    for (const [kind, code] of Object.entries(exitCodeOf)) {
      expect(page('wire.1')).toContain(`.TP\n\\fB${code}\\fR\n${kind.replaceAll('-', '\\-')}\n`);
    }
  });

  it('has no line that would be taken for a request, and none longer than a page likes', () => {
    const requests = /^\.(?:\\"|TH|SH|PP|TP|BR|nf|fi|RS|RE|ad|nh)/;
    for (const { text } of pages) {
      const lines = text.split('\n');
      expect(lines.filter((line) => line.startsWith('.') && !requests.test(line))).toEqual([]);
      expect(lines.filter((line) => line.startsWith("'"))).toEqual([]);
    }
  });
});
