/** The command line. What commands do is loaded when they are run, so that `--help` is quick. */
import { Command } from 'commander';
import { logLevels } from '../lib/log.ts';
import { addCache } from './commands/cache.ts';
import { addCompletion } from './commands/completion.ts';
import { addConfig } from './commands/config.ts';
import { addCredentials } from './commands/credentials.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEnv } from './commands/env.ts';
import { addList } from './commands/list.ts';
import { addLogin } from './commands/login.ts';
import { addLogout } from './commands/logout.ts';
import { addLogs } from './commands/logs.ts';
import { addMount } from './commands/mount.ts';
import { addProfile } from './commands/profile.ts';
import { addRecover } from './commands/recover.ts';
import { addReport } from './commands/report.ts';
import { addStatus } from './commands/status.ts';
import { addToken } from './commands/token.ts';
import { addUnmount } from './commands/unmount.ts';
import { addVersion } from './commands/version.ts';
import { addWhoAmI } from './commands/whoami.ts';
import type { Bind } from './context.ts';
import { addExamples } from './setting-flags.ts';
import type { Terminal } from './terminal.ts';

export function buildProgram(version: string, terminal: Terminal, bind: Bind): Command {
  const program = new Command('wire')
    .description('Log in once with a code; buckets are folders until you say stop.')
    .version(version, '--version', 'show the version')
    .option('--log-level <level>', `one of ${logLevels.join(', ')} (default: info) [WIRE_LOG]`)
    .option('--log-file <file>', 'log there, "-" for stderr [WIRE_LOG_FILE]')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.result(text.replace(/\n$/, '')),
      writeErr: (text) => {
        for (const line of text.replace(/\n$/, '').split('\n')) terminal.say(line);
      },
      outputError: (text) =>
        terminal.fail(`${text.replace(/^error: /, '').trim()}; see: wire --help`),
    });
  const talk = [
    addLogin,
    addMount,
    addUnmount,
    addStatus,
    addList,
    addRecover,
    addCache,
    addWhoAmI,
    addDoctor,
    addReport,
    addLogs,
    addConfig,
    addProfile,
  ];
  const give = [addToken, addCredentials, addEnv];
  for (const add of [...talk, ...give, addLogout, addCompletion]) add(program, bind);
  addVersion(program, bind, version);
  addExamples(program, [
    'wire login https://iam.example.org',
    'wire mount s3://data ~/data --endpoint https://s3.example.org',
    'wire status',
    'wire unmount ~/data',
  ]);
  return program;
}
