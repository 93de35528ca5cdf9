import { type Command, Option } from 'commander';
import type { MountsRequest } from '../../daemon/daemon.ts';
import type { MountStatus } from '../../daemon/mount.ts';
import { type TransportName, transportNames } from '../../daemon/mount-parts.ts';
import { isPassedDescriptor } from '../../daemon/passed-descriptor.ts';
import { LinkedAbort } from '../../lib/abort.ts';
import { WireError } from '../../lib/wire-error.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { ReportedFailure } from '../failure.ts';
import { readMountArguments } from '../mount-arguments.ts';
import { mountWords, readMountOptions } from '../mount-options.ts';
import {
  addExamples,
  addSettingFlags,
  credentialOptions,
  networkOptions,
  readingOptions,
  tokenOptions,
  watchingOptions,
} from '../setting-flags.ts';

interface MountFlags {
  readonly readOnly?: boolean;
  readonly allowOther?: boolean;
  readonly mkdir?: boolean;
  readonly daemon?: boolean;
  readonly option?: readonly string[];
  readonly transport?: TransportName;
}

export function addMount(program: Command, bind: Bind): void {
  const command = program
    .command('mount')
    .summary('make buckets appear as folders')
    .description(
      'Mount SOURCE on MOUNTPOINT, as often as named, and serve until Ctrl-C or `wire unmount`.\n\n' +
        'SOURCE is s3://BUCKET[/PREFIX], s3:// for every bucket you may list, the address\n' +
        'https://HOST[:PORT]/BUCKET[/PREFIX], which says the endpoint as well, or the name of a mount\n' +
        'in the profile. After a name that has a mountpoint there, MOUNTPOINT may be left out (an\n' +
        'argument with a / in it overrides it). With --profile alone: all its mounts.',
    )
    .argument('[source mountpoint...]', 'what to mount, and where');
  addSettingFlags(command, [
    ...credentialOptions,
    'expiryWaitSeconds',
    ...readingOptions,
    ...watchingOptions,
    ...tokenOptions,
    ...networkOptions,
  ])
    .option('--read-only', 'allow no changes')
    .option('--allow-other', 'let other users in (needs user_allow_other in /etc/fuse.conf)')
    .option('--mkdir', 'make a missing MOUNTPOINT, and remove it afterwards')
    .option('--daemon', 'return when mounted and serve in the background')
    .option('-o, --option <list...>', `mount options, with commas between: ${mountWords}`)
    .addOption(new Option('--transport <name>', 'how to mount').choices(transportNames).hideHelp())
    .action(bind(runMount));
  addExamples(command, [
    'wire mount s3://data ~/data --endpoint https://s3.example.org',
    'wire mount s3://data/2024 ~/data s3://scratch ~/scratch --daemon --mkdir',
    'wire mount https://s3.example.org/data/2024 ~/data',
    'wire mount s3:// ~/buckets --read-only',
    'wire mount --profile work',
  ]);
}

async function runMount(context: CommandContext, command: Command): Promise<void> {
  const flags = command.opts<MountFlags>();
  const { profile, settings, profileNamed, flags: typed } = await commandSettings(context, command);
  const given = readMountOptions(flags.option ?? []);
  const { mounts, endpoint = settings.endpoint } = readMountArguments(command.args, {
    profile,
    profileNamed,
    readOnly: given.readOnly || (flags.readOnly ?? false),
    workingDirectory: context.workingDirectory,
    ...(typed.endpoint !== undefined && { endpointFlag: typed.endpoint }),
    ...(settings.endpoint !== undefined && { endpoint: settings.endpoint }),
  });
  const request: MountsRequest = {
    mounts,
    settings: { ...settings, ...(endpoint !== undefined && { endpoint }) },
    allowOther: given.allowOther || (flags.allowOther ?? false),
    makeDirectory: flags.mkdir ?? false,
    ...(flags.option !== undefined && { options: given.options }),
    ...(flags.transport !== undefined && { transport: flags.transport }),
  };
  if (flags.daemon === true) refusePassedDescriptors(request);
  if (flags.daemon === true && context.starter === undefined) await mountInBackground(context);
  else await serve(request, context);
}

/** Descriptors end with this process: the one in the background could not have them. */
function refusePassedDescriptors({ mounts }: MountsRequest): void {
  const passed = mounts.find(({ mountPoint }) => isPassedDescriptor(mountPoint));
  if (passed === undefined) return;
  throw new WireError('usage', {
    tried: `mount on ${passed.mountPoint}`,
    answered: 'a passed descriptor cannot be served in the background',
    next: 'leave --daemon out',
  });
}

/** The same command again, in the background; returns when it says that it is ready. */
async function mountInBackground(context: CommandContext): Promise<void> {
  const { command, environment, signals, terminal } = context;
  const logFile = await context.detachedLogFile(context.signal);
  const report = await context.startDetached({ command, environment, logFile }, signals);
  if (report.outcome === 'failed') throw new ReportedFailure(report.line, report.exitCode);
  for (const line of report.lines) terminal.result(line);
}

async function serve(request: MountsRequest, context: CommandContext): Promise<void> {
  const { starter, terminal, signals } = context;
  // Until they are ready a signal aborts the start; then signals are the mounts' own: Ctrl-C is
  // a wish, not an abort.
  using starting = new LinkedAbort(context.signal);
  starter?.lost.addEventListener('abort', () => starting.abort(starter.lost.reason));
  const daemon = await context.daemonOf(request.settings);
  if (starter !== undefined) context.leaveWorkingDirectory();
  const events = {
    ready: (mounts: readonly MountStatus[]): void => {
      starting[Symbol.dispose]();
      const lines = mounts.map(context.mountedLine ?? describeMount);
      if (starter === undefined) {
        for (const line of lines) terminal.result(line);
        if (terminal.watched) terminal.say('Ctrl-C unmounts.');
        return;
      }
      starter.report({ outcome: 'ready', lines }).catch((error: unknown) => {
        context.log.error('starter not told', { error });
      });
    },
    trouble: (error: Error & { toLine(): string }): void => {
      terminal.fail(error.toLine());
      terminal.say('The mount goes on. Ctrl-C again leaves it at once.');
    },
    warn: (line: string): void => {
      if (starter === undefined) terminal.say(`${terminal.style('yellow', 'Warning:')} ${line}`);
    },
  };
  await daemon.mount(request, events, signals, starting.signal);
}

function describeMount(mount: MountStatus): string {
  return `Mounted ${mount.source} at ${mount.mountPoint}${mount.readOnly ? ' (read-only)' : ''}`;
}
