/** Which file system a path lies on, by the kernel's list: that asks no file system, so it cannot hang. */
import { readFile } from 'node:fs/promises';
import { MOUNTINFO_PATH, parseMountinfo } from '../../fuse/linux/mountinfo.ts';

export interface MountLine {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  /** Of the mount and of its file system, as in `rw,nosuid,allow_other`. */
  readonly options: readonly string[];
}

/** Empty where there is no such list. */
export async function readMounts(): Promise<readonly MountLine[]> {
  return parseMounts(await readFile(MOUNTINFO_PATH, 'utf8').catch(() => ''));
}

/** Pure. In the order in which they were mounted. */
export function parseMounts(text: string): readonly MountLine[] {
  return text.split('\n').flatMap((line) => {
    const [mount] = parseMountinfo(line);
    if (mount === undefined) return [];
    const { mountPoint, type, source } = mount;
    const own = line.split(' ')[5] ?? '';
    const superOptions = line.slice(line.indexOf(' - ') + 3).split(' ')[2] ?? '';
    return [{ mountPoint, type, source, options: [...own.split(','), ...superOptions.split(',')] }];
  });
}

/** Pure: the mount that `path`, absolute and without links, lies on. */
export function mountOf(path: string, mounts: readonly MountLine[]): MountLine | undefined {
  // The longest wins; of mounts on one place, the last one covers the others.
  return mounts
    .filter(({ mountPoint }) => isBelow(path, mountPoint))
    .reduce<MountLine | undefined>(
      (best, mount) =>
        best === undefined || mount.mountPoint.length >= best.mountPoint.length ? mount : best,
      undefined,
    );
}

/** Whether `path` is `folder` or lies in it. */
export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
