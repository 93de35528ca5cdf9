/** `wire profile`: the profiles of the configuration file. */
import type { Command } from 'commander';
import type { Bind } from '../context.ts';
import { addExamples } from '../setting-flags.ts';

export function addProfile(program: Command, bind: Bind): void {
  const command = program
    .command('profile')
    .summary('profiles of the configuration file')
    .description(
      'Show the profiles of the configuration file. Which one is used: --profile, WIRE_PROFILE, the\n' +
        'one named default, or the only one. They are written with `wire config edit`.',
    );
  const list = command
    .command('list')
    .summary('their names, and which one is used')
    .description('List the profiles; * marks the one that is used when none is named.')
    .option('--names', 'names alone, one a line')
    .option('--json', 'as JSON, for programs')
    .action(
      bind(
        async (context, each) => await (await import('../profile-runs.ts')).runList(context, each),
      ),
    );
  addExamples(list, ['wire profile list', 'wire profile list --json']);
  const show = command
    .command('show')
    .summary('what one says')
    .description('Show the settings and mounts of a profile: NAME, or the one that is used.')
    .argument('[name]', 'name of the profile')
    .option('--json', 'as JSON, for programs')
    .action(
      bind(
        async (context, each) => await (await import('../profile-runs.ts')).runShow(context, each),
      ),
    );
  addExamples(show, ['wire profile show', 'wire profile show work --json']);
  addExamples(command, ['wire profile list', 'wire profile show work']);
}
