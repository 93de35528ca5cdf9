/**
 * The commands, each as `wire --help` shows it. What else there is to a command, its flags, texts
 * and work, is loaded when its name is among the words: to load them all takes longer than Node
 * itself needs to start.
 */
import type { Command } from 'commander';
import type { Bind } from './context.ts';

/** Adds a command to the program. */
export type AddCommand = (program: Command, bind: Bind, version: string) => void;

export interface CommandRow {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  readonly load: () => Promise<AddCommand>;
}

/** In the order of the help: what is used first comes first, what other programs use last. */
export const commandTable: readonly CommandRow[] = [
  {
    name: 'login',
    summary: 'log in with a code on a web page',
    load: async () => (await import('./commands/login.ts')).addLogin,
  },
  {
    name: 'mount',
    summary: 'make buckets appear as folders',
    load: async () => (await import('./commands/mount.ts')).addMount,
  },
  {
    name: 'unmount',
    alias: 'umount',
    summary: 'save everything and unmount',
    load: async () => (await import('./commands/unmount.ts')).addUnmount,
  },
  {
    name: 'remount',
    summary: 'mount again what is dead, or with other settings',
    load: async () => (await import('./commands/remount.ts')).addRemount,
  },
  {
    name: 'status',
    summary: 'show mounts and logins',
    load: async () => (await import('./commands/status.ts')).addStatus,
  },
  {
    name: 'ui',
    summary: 'a page of this machine that shows it, logs in and mounts',
    load: async () => (await import('./commands/ui.ts')).addUi,
  },
  {
    name: 'list',
    summary: 'show which buckets there are',
    load: async () => (await import('./commands/list.ts')).addList,
  },
  {
    name: 'recover',
    summary: 'files that are on this machine and not in their bucket',
    load: async () => (await import('./commands/recover.ts')).addRecover,
  },
  {
    name: 'cache',
    summary: 'what is kept on this machine',
    load: async () => (await import('./commands/cache.ts')).addCache,
  },
  {
    name: 'whoami',
    summary: 'show who you are to the store, and why',
    load: async () => (await import('./commands/whoami.ts')).addWhoAmI,
  },
  {
    name: 'doctor',
    summary: 'find what is wrong, and say how to mend it',
    load: async () => (await import('./commands/doctor.ts')).addDoctor,
  },
  {
    name: 'report',
    summary: 'make an archive that tells what is wrong',
    load: async () => (await import('./commands/report.ts')).addReport,
  },
  {
    name: 'logs',
    summary: 'show what was logged',
    load: async () => (await import('./commands/logs.ts')).addLogs,
  },
  {
    name: 'config',
    summary: 'what is set, by whom, and whether it can be used',
    load: async () => (await import('./commands/config.ts')).addConfig,
  },
  {
    name: 'profile',
    summary: 'profiles of the configuration file',
    load: async () => (await import('./commands/profile.ts')).addProfile,
  },
  {
    name: 'token',
    summary: 'print an access token, for another program',
    load: async () => (await import('./commands/token.ts')).addToken,
  },
  {
    name: 'credentials',
    summary: 'temporary S3 credentials for other programs',
    load: async () => (await import('./commands/credentials.ts')).addCredentials,
  },
  {
    name: 'env',
    summary: 'temporary S3 credentials for a shell',
    load: async () => (await import('./commands/env.ts')).addEnv,
  },
  {
    name: 'logout',
    summary: 'end a login',
    load: async () => (await import('./commands/logout.ts')).addLogout,
  },
  {
    name: 'completion',
    summary: 'have a shell complete what you type',
    load: async () => (await import('./commands/completion.ts')).addCompletion,
  },
  {
    name: 'version',
    summary: 'what this is, and what it runs on',
    load: async () => (await import('./commands/version.ts')).addVersion,
  },
];

/** Not for people: neither in the help nor completed. */
export const hiddenCommands: readonly CommandRow[] = [
  {
    name: 'serve-mounts',
    summary: 'what `wire mount --daemon` starts',
    load: async () => (await import('./commands/daemon.ts')).addDaemon,
  },
];
