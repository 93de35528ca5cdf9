/** The configuration file, once read: profiles, each a login with its store and its mounts. */
import type { OptionName, Settings } from './options.ts';
import type { SourceArgument } from './source.ts';

/** A mount that a profile names. */
export interface MountEntry {
  readonly name: string;
  readonly source: Exclude<SourceArgument, { readonly kind: 'named' }>;
  /** Absolute; absent when the command line is to say it. */
  readonly mountPoint?: string;
  readonly readOnly: boolean;
}

export interface Profile {
  readonly name: string;
  readonly settings: Settings;
  /** Line of the file that says each setting, from 1. */
  readonly lines: ReadonlyMap<OptionName, number>;
  readonly mounts: ReadonlyMap<string, MountEntry>;
}

export interface Config {
  /** Where it was read, for messages. */
  readonly path: string;
  readonly profiles: ReadonlyMap<string, Profile>;
}

/** One thing that is wrong with the file. */
export interface ConfigFault {
  /** From 1. */
  readonly line: number;
  /** Names from the top, with dots between: `profiles.work.endpoint`; '' for the file as a whole. */
  readonly key: string;
  /** Completes the sentence "this value …". */
  readonly fault: string;
}
