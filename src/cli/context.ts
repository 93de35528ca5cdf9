/** What a command works with, and where it comes from: the process, or a test. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Profile } from '../config/config.ts';
import type { OptionName, Option as SettingOption, Settings } from '../config/options.ts';
import { options as settingOptions } from '../config/options.ts';
import type { Paths } from '../config/paths.ts';
import { chooseProfile } from '../config/profile.ts';
import { type Environment, type Flags, resolveSettings } from '../config/settings.ts';
import { settingsWarnings } from '../config/warnings.ts';
import type { MountsAnswer } from '../daemon/control-protocol.ts';
import type { Daemon } from '../daemon/daemon.ts';
import type { DetachOptions, Starter, StartReport } from '../daemon/detach.ts';
import type { MountStatus } from '../daemon/mount.ts';
import type { MountsAsked } from '../daemon/mounts-asked.ts';
import type { StopSignals } from '../daemon/stop-signals.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Terminal } from './terminal.ts';

/** What the process gives a command. */
export interface CliSurroundings {
  readonly terminal: Terminal;
  readonly environment: Environment;
  readonly paths: Paths;
  readonly uid: number;
  readonly platform: NodeJS.Platform;
  readonly workingDirectory: string;
  readonly clock: Clock;
  /** Of this wire. */
  readonly version: string;
  readonly signals: StopSignals;
  readonly starter: Starter | undefined;
  /** Loaded on first use, so that `--help` is quick. */
  readonly daemon: (log: Log, settings: Settings) => Promise<Daemon>;
  /** Node's options, the script and its arguments: how to start this command again. */
  readonly command: readonly string[];
  readonly startDetached: (options: DetachOptions, signals: StopSignals) => Promise<StartReport>;
  /** Where a process in the background writes; its folder is there. */
  readonly detachedLogFile: (signal: AbortSignal) => Promise<string>;
  /** Asks the user's daemon, which is started where none runs; see `daemon-client.ts`. */
  readonly mountInDaemon: (
    asked: Omit<MountsAsked, 'caller'>,
    flags: LogFlags,
    signal: AbortSignal,
  ) => Promise<MountsAnswer>;
  /** Leaves the working folder, so that a process in the background keeps none busy. */
  readonly leaveWorkingDirectory: () => void;
  /** How a mount that is there is told; as wire does, unless something else is expected. */
  readonly mountedLine?: (mount: MountStatus) => string;
  /** The log of this run, by `--log-level` and `--log-file`. */
  readonly openLog: (flags: LogFlags) => Promise<Log>;
}

export interface LogFlags {
  readonly logLevel: string | undefined;
  readonly logFile: string | undefined;
}

/** Flags that every command has. */
interface GlobalFlags {
  readonly logLevel?: string;
  readonly logFile?: string;
  readonly profile?: string;
}

/** One run of a command. */
export interface CommandContext extends CliSurroundings {
  readonly log: Log;
  /** As they were given. */
  readonly logFlags: LogFlags;
  /** `settings`: how servers are reached; none are for a command that reaches none. */
  readonly daemonOf: (settings?: Settings) => Promise<Daemon>;
  /** Aborts at a signal, for commands that do one thing and end. */
  readonly signal: AbortSignal;
}

/** Does the work of a command; throws WireError. */
export type Action = (context: CommandContext, command: Command) => Promise<void>;

/** Makes commander's action out of ours. */
export type Bind = (action: Action) => (...args: unknown[]) => Promise<void>;

/** Profile and settings of a command. */
export interface CommandSettings {
  readonly profile: Profile;
  readonly settings: Settings;
  readonly profileNamed: boolean;
  /** The flags of the settings table as typed. */
  readonly flags: Flags;
}

/** By its flags; says what is dangerous about them. */
export async function commandSettings(
  context: CommandContext,
  command: Command,
): Promise<CommandSettings> {
  const { terminal } = context;
  const flags = command.optsWithGlobals<GlobalFlags & Record<string, unknown>>();
  const found = await settingsOf(flags.profile, typedFlags(flags), context);
  for (const line of settingsWarnings(found.settings)) {
    terminal.say(`${terminal.style('yellow', 'Warning:')} ${line}`);
  }
  return found;
}

/** Of `profile`, else of the one that WIRE_PROFILE names, else of the usual one. */
export async function settingsOf(
  named: string | undefined,
  typed: Flags,
  context: CommandContext,
): Promise<CommandSettings> {
  const { paths, environment, signal } = context;
  const wanted = named ?? environment['WIRE_PROFILE'];
  const { loadConfig } = await import('../config/load.ts');
  const config = await loadConfig(paths.configFile, paths.configFileNamed, paths.home, signal);
  const profile = chooseProfile(config, wanted);
  const resolved = resolveSettings(typed, environment, profile.settings);
  const settings = withAbsolutePaths(resolved, context.workingDirectory, paths.home);
  return { profile, settings, profileNamed: Boolean(wanted), flags: typed };
}

/** A process in the background leaves the folder where the command was started; `~` is no shell's. */
function withAbsolutePaths(
  settings: Settings,
  workingDirectory: string,
  home: string | undefined,
): Settings {
  const { tokenFile, mytokenFile, cacheDir, accessLog, auditLog } = settings;
  const absolute = (path: string): string =>
    home !== undefined && path.startsWith('~/')
      ? resolve(home, path.slice(2))
      : resolve(workingDirectory, path);
  return {
    ...settings,
    ...(tokenFile !== undefined && { tokenFile: absolute(tokenFile) }),
    ...(mytokenFile !== undefined && { mytokenFile: absolute(mytokenFile) }),
    ...(cacheDir !== undefined && { cacheDir: absolute(cacheDir) }),
    ...(accessLog !== undefined && { accessLog: absolute(accessLog) }),
    ...(auditLog !== undefined && {
      auditLog: auditLog === 'off' ? auditLog : absolute(auditLog),
    }),
  };
}

/** The flags of the settings table as typed, by the name commander gives them. */
export function typedFlags(flags: Readonly<Record<string, unknown>>): Flags {
  const typed: Partial<Record<OptionName, string>> = {};
  for (const name of Object.keys(settingOptions) as OptionName[]) {
    const value = flags[flagName(settingOptions[name])];
    if (typeof value === 'string') typed[name] = value;
    if (Array.isArray(value)) typed[name] = value.join(' ');
    // A flag whose value may be left out.
    if (value === true) typed[name] = 'on';
  }
  return typed;
}

/** `--sts-endpoint <url>` is `stsEndpoint`, as commander names it. */
function flagName(option: SettingOption<unknown>): string {
  const long = (option.flag.split(' ')[0] ?? '').slice(2);
  return long.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
