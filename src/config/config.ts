/** The configuration file, once read: profiles, each a login with its store and its mounts. */
import type { Settings } from './options.ts';
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
  readonly mounts: ReadonlyMap<string, MountEntry>;
}

export interface Config {
  /** Where it was read, for messages. */
  readonly path: string;
  readonly profiles: ReadonlyMap<string, Profile>;
}
