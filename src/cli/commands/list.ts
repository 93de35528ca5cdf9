/** `wire list`: the buckets one may list. */
import type { Command } from 'commander';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import {
  addExamples,
  addSettingFlags,
  credentialOptions,
  networkOptions,
  tokenOptions,
} from '../setting-flags.ts';

export function addList(program: Command, bind: Bind): void {
  const command = program
    .command('list')
    .summary('show which buckets there are')
    .description(
      'List the buckets that you may list, one SOURCE a line, with the credentials of a mount of all\n' +
        'of them. A store may let you into buckets that it does not list: those are mounted by name.',
    )
    .option('--json', 'as JSON, for programs, with the time each was made');
  addSettingFlags(command, [
    ...credentialOptions,
    'addressing',
    ...tokenOptions,
    ...networkOptions,
  ]).action(bind(runList));
  addExamples(command, [
    'wire list --endpoint https://s3.example.org',
    'wire list --profile work',
    'wire list --json',
  ]);
}

async function runList(context: CommandContext, command: Command): Promise<void> {
  const { terminal, signal } = context;
  const { settings } = await commandSettings(context, command);
  const daemon = await context.daemonOf(settings);
  const { endpoint, buckets } = await daemon.listBuckets(settings, signal);
  if (command.opts<{ readonly json?: boolean }>().json === true) {
    const listed = buckets.map(({ name, createdMs }) => {
      const created = createdMs === 0 ? null : new Date(createdMs).toISOString();
      return { name, source: `s3://${name}`, created };
    });
    terminal.result(JSON.stringify({ endpoint, buckets: listed }, undefined, 2));
    return;
  }
  for (const { name } of buckets) terminal.result(`s3://${name}`);
  if (buckets.length === 0) terminal.say(`${endpoint} lists no bucket for you`);
}
