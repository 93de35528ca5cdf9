/**
 * `/proc/self/mountinfo` (proc(5)): the only way to look at mounts that cannot hang, since it asks
 * no file system.
 */
import { readFile } from 'node:fs/promises';

export interface MountedFileSystem {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of st_dev; the minor names the connection in /sys/fs/fuse/connections. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  readonly readOnly: boolean;
}

export const MOUNTINFO_PATH = '/proc/self/mountinfo';

export async function readMountinfo(): Promise<readonly MountedFileSystem[]> {
  return parseMountinfo(await readFile(MOUNTINFO_PATH, 'utf8'));
}

/**
 * Lines look like `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`, with any
 * number of fields before the dash. Lines that do not are left out.
 */
export function parseMountinfo(text: string): readonly MountedFileSystem[] {
  return text.split('\n').flatMap((line) => {
    const dash = line.indexOf(' - ');
    if (dash < 0) return [];
    const [id, parentId, device, , mountPoint, options] = line.slice(0, dash).split(' ');
    const [type, source] = line.slice(dash + 3).split(' ');
    if (device === undefined || mountPoint === undefined || type === undefined) return [];
    return [
      {
        id: Number(id),
        parentId: Number(parentId),
        device,
        mountPoint: unescapeOctal(mountPoint),
        type: unescapeOctal(type),
        source: unescapeOctal(source ?? ''),
        readOnly: (options ?? '').split(',').includes('ro'),
      },
    ];
  });
}

/** The mount on top of `mountPoint`: the one that no other mount there has as parent. */
export function topMount(
  mounts: readonly MountedFileSystem[],
  mountPoint: string,
): MountedFileSystem | undefined {
  const here = mounts.filter((mount) => mount.mountPoint === mountPoint);
  return here.find((mount) => !here.some((other) => other.parentId === mount.id));
}

/** The kernel writes space, tab, newline and backslash as `\040` (three octal digits of a byte). */
function unescapeOctal(text: string): string {
  // Bytes above 0x7f come as they are, so each escape is one character.
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
