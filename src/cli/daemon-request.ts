/** Asks the user's daemon in a real process: with what it is started, and what a person is told. */
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Paths } from '../config/paths.ts';
import type { Environment } from '../config/settings.ts';
import type { MountsAnswer } from '../daemon/control-protocol.ts';
import { mountInDaemon } from '../daemon/daemon-client.ts';
import { startDetached } from '../daemon/detach.ts';
import type { MountsAsked } from '../daemon/mounts-asked.ts';
import { parted } from '../daemon/private-environment.ts';
import { stopSignalsOf } from '../daemon/stop-signals.ts';
import type { Clock } from '../lib/clock.ts';
import { daemonCommand } from './commands/daemon.ts';
import type { LogFlags } from './context.ts';
import { ReportedFailure } from './failure.ts';

export interface DaemonRequestFacts {
  readonly environment: Environment;
  readonly paths: Paths;
  readonly uid: number;
  readonly version: string;
  readonly clock: Clock;
  /** Where a process in the background writes; its folder is made. */
  readonly logFile: () => Promise<string>;
}

export async function askDaemon(
  asked: Omit<MountsAsked, 'caller'>,
  flags: LogFlags,
  facts: DaemonRequestFacts,
  signal: AbortSignal,
): Promise<MountsAnswer> {
  const { environment, paths, uid, clock } = facts;
  const answer = await mountInDaemon(
    { ...asked, caller: { environment, paths } },
    {
      ...{ runtimeDir: paths.runtimeDir, uid, clock },
      start: async () => await startDaemon(flags, facts),
    },
    signal,
  );
  return { ...answer, warnings: [...differences(answer, flags, facts), ...answer.warnings] };
}

async function startDaemon(flags: LogFlags, facts: DaemonRequestFacts): Promise<void> {
  const { environment } = facts;
  const report = await startDetached(
    {
      command: [...process.execArgv, await scriptOfWire(), ...logWords(flags), daemonCommand],
      // Secrets come with each request, and go with its mounts.
      environment: withoutService(parted(environment).open),
      logFile: await facts.logFile(),
    },
    stopSignalsOf(process),
  );
  if (report.outcome === 'failed') throw new ReportedFailure(report.line, report.exitCode);
}

/** By its other name the script takes other words. */
async function scriptOfWire(): Promise<string> {
  const script = process.argv[1] ?? '';
  if (!basename(script).startsWith('sts-wire')) return script;
  return join(dirname(await realpath(script)), 'wire.js');
}

function logWords({ logLevel, logFile }: LogFlags): readonly string[] {
  return [
    ...(logLevel === undefined ? [] : ['--log-level', logLevel]),
    ...(logFile === undefined ? [] : ['--log-file', logFile]),
  ];
}

/** What a service manager tells this process is not for the daemon (sd_notify(3), sd_listen_fds(3)). */
function withoutService(environment: Environment): Environment {
  const own = /^(?:NOTIFY_SOCKET|WATCHDOG_(?:PID|USEC)|LISTEN_\w+)$/;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !own.test(name)));
}

/** How the daemon that runs is another one than would have been started. */
function differences(
  { version, logFile }: MountsAnswer,
  flags: LogFlags,
  facts: DaemonRequestFacts,
): readonly string[] {
  const named = flags.logFile ?? facts.environment['WIRE_LOG_FILE'] ?? '';
  const isElsewhere = named !== '' && named !== '-' && resolve(named) !== logFile;
  return [
    ...(version === facts.version
      ? []
      : [
          `the daemon that runs is wire ${version}, this is ${facts.version}: it goes on with its own ` +
            'until its last mount has ended (wire remount --all changes over)',
        ]),
    ...(isElsewhere
      ? [`the daemon that runs logs to ${logFile ?? 'no file'}, not to ${named}`]
      : []),
  ];
}
