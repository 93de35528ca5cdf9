/** What mount(8) wants of `/sbin/mount.wire`, as a call of `wire mount`. Pure. */
import { resolve } from 'node:path';
import { exitCodeOf } from '../../lib/wire-error.ts';
import { readHelperWords } from './helper-words.ts';
import { readOptionWords } from './option-words.ts';

export interface HelperCall {
  /** Of `wire`, without its own name. */
  readonly words: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly user?: string;
  /** Say it and mount nothing. */
  readonly fake: boolean;
  readonly verbose: boolean;
}

/**
 * @param folder that a MOUNTPOINT without a slash before it counts from.
 * @throws WireError `usage`.
 */
export function translateCall(argv: readonly string[], folder: string): HelperCall {
  const { spec, directory, options, fake, sloppy, verbose } = readHelperWords(argv);
  const { flags, mountOptions, variables, user } = readOptionWords(options, sloppy);
  // What fstab says stands in the table of mounts: `mount -a` and `findmnt` look for it there.
  const isNamed = mountOptions.some((word) => word.startsWith('fsname='));
  const list =
    isNamed || /[\s,"\\]/.test(spec) ? mountOptions : [...mountOptions, `fsname=${spec}`];
  return {
    words: [
      ...['mount', spec, resolve(folder, directory), ...flags],
      ...(list.length > 0 ? [`--option=${list.join(',')}`] : []),
    ],
    variables,
    ...(user !== undefined && { user }),
    fake,
    verbose,
  };
}

/** Exit codes of mount(8). */
const mountCodes = { usage: 1, system: 2, interrupted: 8, failure: 32 } as const;

/** What mount(8) returns for an exit code of wire. */
export function mountCode(code: number): number {
  switch (code) {
    case 0:
      return 0;
    case exitCodeOf.usage:
    case exitCodeOf.config:
      return mountCodes.usage;
    case exitCodeOf['no-fuse']:
      return mountCodes.system;
    case exitCodeOf.interrupted:
      return mountCodes.interrupted;
    default:
      return mountCodes.failure;
  }
}
