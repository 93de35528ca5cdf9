/** How mount(2) and fusermount3 want to be told the options of a mount. Pure. */
import { mountFlags } from '../native.ts';
import type { MountOptions } from '../transport.ts';

/** The part after `fuse.` of the type: mounts of ours are `fuse.wire`. */
export const SUBTYPE = 'wire';
export const MOUNT_TYPE = 'fuse.wire';

export interface MountOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Options of the fuse file system itself for mount(2), without `fd`. */
export function kernelOptions(options: MountOptions, owner: MountOwner): string {
  // rootmode is the type of the root, in octal: S_IFDIR.
  const words = ['rootmode=40000', `user_id=${owner.uid}`, `group_id=${owner.gid}`];
  return [...words, ...permissionWords(options)].join(',');
}

/** Set-user-id programs and devices of a bucket are never to be trusted: there is no way to ask. */
export function kernelFlags({ readOnly, noAtime, noExec }: MountOptions): number {
  return (
    mountFlags.noSuid |
    mountFlags.noDev |
    (readOnly ? mountFlags.readOnly : 0) |
    (noAtime === true ? mountFlags.noAtime : 0) |
    (noExec === true ? mountFlags.noExec : 0)
  );
}

/** Value of fusermount3's `-o`. */
export function fusermountOptions(options: MountOptions): string {
  const words = [
    options.readOnly ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    ...(options.noAtime === true ? ['noatime'] : []),
    ...(options.noExec === true ? ['noexec'] : []),
    ...permissionWords(options),
    `fsname=${escapeOption(options.fsName)}`,
    `subtype=${SUBTYPE}`,
  ];
  return words.join(',');
}

function permissionWords({ defaultPermissions, allowOther }: MountOptions): readonly string[] {
  const checked = defaultPermissions === false ? [] : ['default_permissions'];
  return allowOther ? [...checked, 'allow_other'] : checked;
}

/** fusermount3 takes a backslash before a comma or a backslash (libfuse `util/fusermount.c`). */
function escapeOption(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}

/** Whether `/etc/fuse.conf` lets users give `allow_other`: the word alone on a line. */
export function permitsAllowOther(fuseConf: string): boolean {
  return fuseConf.split('\n').some((line) => line.trim() === 'user_allow_other');
}

/** N of `/dev/fd/N`, a /dev/fuse mounted by somebody else; undefined for any other path. */
export function passedDescriptor(mountPoint: string): number | undefined {
  const digits = /^\/dev\/fd\/(\d{1,9})$/.exec(mountPoint)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
