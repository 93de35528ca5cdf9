import { type Command, InvalidArgumentError, Option } from 'commander';
import type { OptionName, Settings } from '../../config/options.ts';
import { settingText } from '../../config/setting-text.ts';
import type { Flags } from '../../config/settings.ts';
import { parseMs } from '../../config/values.ts';
import type { MountStatus } from '../../daemon/mount.ts';
import { type TransportName, transportNames } from '../../daemon/mount-parts.ts';
import type { MountsRequest } from '../../daemon/mounts-request.ts';
import { isPassedDescriptor } from '../../daemon/passed-descriptor.ts';
import { LinkedAbort } from '../../lib/abort.ts';
import { WireError } from '../../lib/wire-error.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { readMountArguments } from '../mount-arguments.ts';
import { mountWords, readMountOptions } from '../mount-options.ts';
import { withPatience } from '../mount-patience.ts';
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
  readonly wait?: number;
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
    .option('--daemon', 'return when mounted; the daemon serves, one for all mounts of yours')
    .option('--wait <time>', 'keep trying for so long: no server yet, no login yet', parseWait)
    .option('-o, --option <list...>', `mount options, with commas between: ${mountWords}`)
    .addOption(new Option('--transport <name>', 'how to mount').choices(transportNames).hideHelp())
    .action(bind(runMount));
  addExamples(command, [
    'wire mount s3://data ~/data --endpoint https://s3.example.org',
    'wire mount s3://data/2024 ~/data s3://scratch ~/scratch --daemon --mkdir',
    'wire mount https://s3.example.org/data/2024 ~/data',
    'wire mount s3:// ~/buckets --read-only',
    'wire mount s3://data ~/data s3://own ~/own --daemon --wait 20s',
    'wire mount --profile work',
  ]);
}

async function runMount(context: CommandContext, command: Command): Promise<void> {
  const flags = command.opts<MountFlags>();
  const request = await mountsRequest(context, command);
  const inBackground = flags.daemon === true;
  if (inBackground) refusePassedDescriptors(request);
  const patience = {
    waitMs: flags.wait,
    clock: context.clock,
    waiting: (reason: string) => context.terminal.say(`Waiting: ${reason}`),
  };
  const mount = inBackground ? mountInBackground : serve;
  let isMounted = false;
  const attempt = async (): Promise<WireError | undefined> => {
    try {
      await mount(request, context, () => (isMounted = true));
      return undefined;
    } catch (error) {
      // What goes wrong later does not pass by mounting again.
      if (isMounted && error instanceof WireError) return error;
      throw error;
    }
  };
  const problem = await withPatience(attempt, patience, context.signal);
  if (problem !== undefined) throw problem;
}

/** What the words and flags ask for. */
async function mountsRequest(context: CommandContext, command: Command): Promise<MountsRequest> {
  const flags = command.opts<MountFlags>();
  const { profile, settings, profileNamed, flags: typed } = await commandSettings(context, command);
  const given = readMountOptions(flags.option ?? []);
  const { mounts, endpoint: addressed } = readMountArguments(command.args, {
    profile,
    profileNamed,
    readOnly: given.readOnly || (flags.readOnly ?? false),
    workingDirectory: context.workingDirectory,
    ...(typed.endpoint !== undefined && { endpointFlag: typed.endpoint }),
    ...(settings.endpoint !== undefined && { endpoint: settings.endpoint }),
  });
  const endpoint = addressed ?? settings.endpoint;
  const whole = { ...settings, ...(endpoint !== undefined && { endpoint }) };
  return {
    mounts,
    settings: whole,
    allowOther: given.allowOther || (flags.allowOther ?? false),
    makeDirectory: flags.mkdir ?? false,
    ...(flags.option !== undefined && { options: given.options }),
    ...(flags.transport !== undefined && { transport: flags.transport }),
    origin: {
      flags: asTyped(
        [...Object.keys(typed), ...(addressed === undefined ? [] : ['endpoint'])],
        whole,
      ),
      ...(profileNamed && { profile: profile.name }),
    },
  };
}

/** The flags of `names` as they could be typed anywhere: paths are absolute by now. */
function asTyped(names: readonly string[], settings: Settings): Flags {
  const typed = names.filter((name): name is OptionName => Object.hasOwn(settings, name));
  return Object.fromEntries(typed.map((name) => [name, settingText(name, settings[name])]));
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

/** By the user's daemon; returns when it says that all is mounted. */
async function mountInBackground(
  request: MountsRequest,
  context: CommandContext,
  mounted: () => void,
): Promise<void> {
  const { terminal, starter, signal, logFlags } = context;
  const answer = await context.mountInDaemon({ request, replace: false }, logFlags, signal);
  mounted();
  for (const line of answer.warnings) warn(line, context);
  const lines = answer.mounts.map(context.mountedLine ?? describeMount);
  // Another program of ours has started this one, and waits for its word.
  if (starter !== undefined) await starter.report({ outcome: 'ready', lines });
  else for (const line of lines) terminal.result(line);
}

async function serve(
  request: MountsRequest,
  context: CommandContext,
  mounted: () => void,
): Promise<void> {
  const { terminal, signals } = context;
  // Until they are ready a signal aborts the start; then signals are the mounts' own: Ctrl-C is
  // a wish, not an abort.
  using starting = new LinkedAbort(context.signal);
  const daemon = await context.daemonOf(request.settings);
  const events = {
    ready: (mounts: readonly MountStatus[]): void => {
      mounted();
      starting[Symbol.dispose]();
      for (const mount of mounts) terminal.result((context.mountedLine ?? describeMount)(mount));
      if (terminal.watched) terminal.say('Ctrl-C unmounts.');
    },
    trouble: (error: Error & { toLine(): string }): void => {
      terminal.fail(error.toLine());
      terminal.say('The mount goes on. Ctrl-C again leaves it at once.');
    },
    warn: (line: string): void => warn(line, context),
  };
  await daemon.mount(request, events, signals, starting.signal);
}

function warn(line: string, { terminal }: CommandContext): void {
  terminal.say(`${terminal.style('yellow', 'Warning:')} ${line}`);
}

/** What is told of a mount that is there. */
export function describeMount(mount: MountStatus): string {
  return `Mounted ${mount.source} at ${mount.mountPoint}${mount.readOnly ? ' (read-only)' : ''}`;
}

function parseWait(text: string): number {
  const parsed = parseMs(text);
  if (parsed.ok) return parsed.value;
  throw new InvalidArgumentError(`It ${parsed.fault}.`);
}
