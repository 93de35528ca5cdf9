import type { Command } from 'commander';
import type { Bind, CommandContext } from '../context.ts';
import { environmentLines } from '../credential-text.ts';
import { addExamples } from '../setting-flags.ts';
import { addLimitFlags, readCredentialsRequest, warningsTo, warnOfScreen } from './credentials.ts';

export function addEnv(program: Command, bind: Bind): void {
  const command = program
    .command('env')
    .summary('temporary S3 credentials for a shell')
    .description(
      'Print lines that give a shell temporary credentials. They end with their lease, an hour as\n' +
        'a rule; for longer work: wire credentials --serve. Limits are as of `wire credentials`.',
    );
  addLimitFlags(command).action(bind(runEnv));
  addExamples(command, [
    'eval "$(wire env --endpoint https://s3.example.org)"',
    'eval "$(wire env s3://data --read-only --profile work)"',
  ]);
}

async function runEnv(context: CommandContext, command: Command): Promise<void> {
  const request = await readCredentialsRequest(context, command);
  const daemon = await context.daemonOf(request.settings);
  const credentials = await daemon.credentials(request, warningsTo(context), context.signal);
  warnOfScreen(context, credentials);
  for (const line of environmentLines(credentials)) context.terminal.result(line);
}
