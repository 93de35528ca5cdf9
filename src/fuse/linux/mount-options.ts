/** Options of a mount, and how mount(2) and fusermount3 want to be told them. Pure. */
import { mountFlags } from '../native.ts';

/** The part after `fuse.` of the type: mounts of ours are `fuse.wire`. */
export const SUBTYPE = 'wire';
export const MOUNT_TYPE = 'fuse.wire';

export interface MountOptions {
  /** Absolute, without symbolic links. */
  readonly mountPoint: string;
  readonly readOnly: boolean;
  /** Lets other users in; permissions are checked by the kernel in any case. */
  readonly allowOther: boolean;
  /** First column of mount(8)'s list. */
  readonly fsName: string;
}

export interface MountOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Options of the fuse file system itself for mount(2), without `fd`. */
export function kernelOptions({ allowOther }: MountOptions, owner: MountOwner): string {
  // rootmode is the type of the root, in octal: S_IFDIR.
  const base = `rootmode=40000,user_id=${owner.uid},group_id=${owner.gid},default_permissions`;
  return allowOther ? `${base},allow_other` : base;
}

export function kernelFlags({ readOnly }: MountOptions): number {
  return mountFlags.noSuid | mountFlags.noDev | (readOnly ? mountFlags.readOnly : 0);
}

/** Value of fusermount3's `-o`. */
export function fusermountOptions(options: MountOptions): string {
  const words = [
    options.readOnly ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    'default_permissions',
    `fsname=${escapeOption(options.fsName)}`,
    `subtype=${SUBTYPE}`,
  ];
  if (options.allowOther) words.push('allow_other');
  return words.join(',');
}

/** fusermount3 takes a backslash before a comma or a backslash (libfuse `util/fusermount.c`). */
function escapeOption(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}

/** Whether `/etc/fuse.conf` lets users give `allow_other`: the word alone on a line. */
export function permitsAllowOther(fuseConf: string): boolean {
  return fuseConf.split('\n').some((line) => line.trim() === 'user_allow_other');
}
