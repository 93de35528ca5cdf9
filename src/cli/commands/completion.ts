/** `wire completion`: a script for a shell, made of the commands and flags there are. */
import { Argument, type Command } from 'commander';
import type { Bind } from '../context.ts';
import { addExamples } from '../setting-flags.ts';

export function addCompletion(program: Command, bind: Bind): void {
  const command = program
    .command('completion')
    .summary('have a shell complete what you type')
    .description(
      'Print a script that makes a shell complete commands, flags, their values, profiles and mounts.\n' +
        'For one session, bash and zsh: source <(wire completion bash); fish: wire completion fish | source.',
    )
    .addArgument(new Argument('<shell>', 'which one').choices(['bash', 'zsh', 'fish']))
    .action(
      bind(async (context, each) => {
        const { completionScript } = await import('../completion/script.ts');
        context.terminal.result(completionScript(program, each.args[0] ?? '').trimEnd());
      }),
    );
  addExamples(command, [
    'wire completion bash > ~/.local/share/bash-completion/completions/wire',
    'wire completion zsh > ~/.zfunc/_wire     (~/.zshrc: fpath+=~/.zfunc, before compinit)',
    'wire completion fish > ~/.config/fish/completions/wire.fish',
  ]);
}
