import { describe, expect, it } from 'vitest';
import { completionScript } from '../../../../src/cli/completion/script.ts';
import { allNodes, commandTree } from '../../../../src/cli/completion/tree.ts';
import { buildProgram } from '../../../../src/cli/program.ts';
import { addExamples } from '../../../../src/cli/setting-flags.ts';
import { Terminal } from '../../../../src/cli/terminal.ts';

const nobody = { write: () => true };
const build = async () => {
  const idle = () => async () => await Promise.resolve();
  return await buildProgram('1.2.3', new Terminal(nobody, nobody, {}), idle, 'all');
};
const program = await build();
const nodes = allNodes(commandTree(program));

describe('the script of each shell', () => {
  it.each(['bash', 'zsh', 'fish'])('%s has every command and flag that is shown', (shell) => {
    const script = completionScript(program, shell);
    expect(nodes.length).toBeGreaterThan(25);
    for (const { path, names, flags } of nodes) {
      if (path !== '') expect(script).toContain(path);
      for (const name of path === '' ? [] : names)
        expect(script).toMatch(new RegExp(`\\b${name}\\b`));
      for (const flag of flags.flatMap((each) => each.names)) {
        const written = shell === 'fish' ? flag.replace(/^-(-?)(.+)/, fishFlag) : flag;
        expect(script).toContain(written);
      }
    }
  });

  it.each(['bash', 'zsh', 'fish'])(
    '%s changes when a command or a flag is added',
    async (shell) => {
      const changed = await build();
      const before = completionScript(changed, shell);
      const added = changed.command('frobnicate').description("it's $(new) `and` \\odd");
      addExamples(added.option('--sharply <soft|hard>', 'how'), []);
      const after = completionScript(changed, shell);
      for (const word of ['frobnicate', 'sharply', 'soft hard']) {
        expect(before).not.toContain(word);
        expect(after).toContain(word);
      }
    },
  );

  it('knows what can be said with a flag that takes one of a few words', () => {
    const mount = nodes.find(({ path }) => path === '/mount');
    const valueOf = (name: string) => mount?.flags.find(({ names }) => names.includes(name))?.value;
    const words = { kind: 'words', words: ['off', 'minimal', 'writes', 'full'] };
    expect(valueOf('--cache')).toEqual(words);
    expect(valueOf('--posix')).toEqual({ kind: 'words', words: ['on', 'off'] });
    expect(valueOf('--log-level')).toMatchObject({ kind: 'words' });
    expect(valueOf('--profile')).toEqual({ kind: 'profiles' });
    expect(valueOf('--cache-dir')).toEqual({ kind: 'folders' });
    expect(valueOf('--token-file')).toEqual({ kind: 'files' });
    expect(valueOf('--endpoint')).toEqual({ kind: 'any' });
    expect(valueOf('--read-only')).toBeUndefined();
    expect(valueOf('--transport')).toBeUndefined();
  });
});

function fishFlag(_: string, dash: string, name: string): string {
  return dash === '' ? `-s ${name}` : `-l ${name}`;
}
