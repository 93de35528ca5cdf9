import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { commandTable } from '../../../src/cli/command-table.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { Terminal } from '../../../src/cli/terminal.ts';

async function build(words: readonly string[] | 'all'): Promise<Command> {
  const nobody = { write: () => true };
  const idle = () => async () => await Promise.resolve();
  return await buildProgram('1.2.3', new Terminal(nobody, nobody, {}), idle, words);
}

const isFull = (command: Command): boolean => command.description() !== '';

describe('the program', () => {
  it('shows the same help whether its commands are loaded or not', async () => {
    const whole = await build('all');
    expect((await build(['--help'])).helpInformation()).toBe(whole.helpInformation());
  });

  it('has in its table what each command says of itself', async () => {
    const whole = await build('all');
    const said = whole.commands.map((command) => ({
      name: command.name(),
      aliases: command.aliases(),
      summary: command.summary(),
    }));
    expect(said).toEqual(
      commandTable.map(({ name, alias, summary }) => ({
        name,
        aliases: alias === undefined ? [] : [alias],
        summary,
      })),
    );
    expect(whole.commands.every(isFull)).toBe(true);
  });

  it('loads the commands among the words, by their names or aliases, and no other', async () => {
    const full = async (...words: string[]): Promise<string[]> =>
      (await build(words)).commands.filter(isFull).map((command) => command.name());
    expect(await full('--help')).toEqual([]);
    expect(await full('--log-level', 'debug', 'umount', '/m')).toEqual(['unmount']);
    expect(await full('help', 'mount')).toEqual(['mount']);
    expect(await full('completion', 'bash')).toHaveLength(commandTable.length);
  });

  it('names a command that was nearly typed', async () => {
    const program = await build(['muont']);
    await expect(program.parseAsync(['muont'], { from: 'user' })).rejects.toThrow(
      /unknown command 'muont'\s+\(Did you mean mount\?\)/,
    );
  });
});
