/** `wire config`: what is set and by whom, whether it can be used, and a way to change it. */
import type { Command } from 'commander';
import { type OptionName, options } from '../../config/options.ts';
import type { Action, Bind } from '../context.ts';
import { addExamples, addSettingFlags } from '../setting-flags.ts';

export function addConfig(program: Command, bind: Bind): void {
  const command = program
    .command('config')
    .summary('what is set, by whom, and whether it can be used')
    .description(
      'Show, check, begin and change the configuration; docs/CONFIGURATION.md has all of it.',
    );
  addShow(command, bind);
  addCheck(command, bind);
  addInit(command, bind);
  addEdit(command, bind);
  addExamples(command, ['wire config show', 'wire config check', 'wire config init']);
}

/** Loaded when it is run. */
function lazy(name: 'runShow' | 'runCheck' | 'runInit' | 'runEdit'): Action {
  return async (context, command) => {
    const runs = await import('../config-runs.ts');
    await runs[name](context, command);
  };
}

function addShow(config: Command, bind: Bind): void {
  const command = config
    .command('show')
    .summary('each setting that holds, and what says it')
    .description(
      'Show each setting that holds and what says it: a flag, a variable, a line of the file, or\n' +
        'that it is the default. Flags are those of the command that you want to know it for.',
    )
    .option('--json', 'as JSON, for programs');
  addSettingFlags(command, Object.keys(options) as OptionName[]).action(bind(lazy('runShow')));
  addExamples(command, [
    'wire config show',
    'wire config show --profile work --cache full',
    'wire config show --json',
  ]);
}

function addCheck(config: Command, bind: Bind): void {
  const command = config
    .command('check')
    .summary('find everything that is wrong with it')
    .description(
      'Tell everything that is wrong with the configuration file (or FILE), by line and key, and with\n' +
        'the WIRE_ variables. The exit code is 0 when nothing is, and otherwise 6.',
    )
    .argument('[file]', 'another file than the one that is used')
    .option('--json', 'as JSON, for programs')
    .action(bind(lazy('runCheck')));
  addExamples(command, [
    'wire config check',
    'wire config check ./wire.yaml',
    'wire config check --json',
  ]);
}

function addInit(config: Command, bind: Bind): void {
  const command = config
    .command('init')
    .summary('write a file to begin with')
    .description(
      'Write a configuration file with every key as a comment that says what it is for; flags that\n' +
        'are given are said in it. It is readable by you alone. A file that is there stays.',
    );
  const named = (Object.keys(options) as OptionName[]).filter(
    (name) => options[name].key !== undefined,
  );
  addSettingFlags(command, named).action(bind(lazy('runInit')));
  addExamples(command, [
    'wire config init',
    'wire config init --profile work --issuer https://iam.example.org --endpoint https://s3.example.org',
  ]);
}

function addEdit(config: Command, bind: Bind): void {
  const command = config
    .command('edit')
    .summary('change it, and have it checked')
    .description(
      'Open a copy of the configuration file in $VISUAL or $EDITOR. When that ends, the copy replaces\n' +
        'the file if it can be used; otherwise it is kept beside it, and told how to go on with it.\n' +
        'FILE is what to begin with instead, such as a copy that was kept.',
    )
    .argument('[file]', 'begin with this text')
    .action(bind(lazy('runEdit')));
  addExamples(command, ['wire config edit', 'EDITOR=nano wire config edit']);
}
