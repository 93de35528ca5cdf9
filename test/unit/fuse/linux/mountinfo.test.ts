import { describe, expect, it } from 'vitest';
import {
  fusermountOptions,
  kernelFlags,
  kernelOptions,
  passedDescriptor,
  permitsAllowOther,
} from '../../../../src/fuse/linux/mount-options.ts';
import { parseMountinfo, topMount } from '../../../../src/fuse/linux/mountinfo.ts';

const line = (id: number, parent: number, mountPoint: string, type = 'fuse.wire'): string =>
  `${id} ${parent} 0:${id} / ${mountPoint} rw,nosuid - ${type} wire rw,user_id=0`;

describe('parseMountinfo', () => {
  it('reads the example of proc(5), whatever optional fields stand before the dash', () => {
    const text = '36 35 98:0 /mnt1 /mnt2 ro,noatime master:1 shared:7 - ext3 /dev/root rw\n';
    expect(parseMountinfo(text)).toEqual([
      {
        id: 36,
        parentId: 35,
        device: '98:0',
        mountPoint: '/mnt2',
        type: 'ext3',
        source: '/dev/root',
        readOnly: true,
      },
    ]);
  });

  it('gives back blanks, newlines and backslashes in names', () => {
    const [mount] = parseMountinfo(line(1, 0, '/a\\040b\\011c\\012d\\134e\\134040é'));
    expect(mount?.mountPoint).toBe('/a b\tc\nd\\e\\040é');
  });

  it('leaves out lines that are not mounts', () => {
    expect(parseMountinfo('\nnonsense\n1 2\n1 2 - ext4\n')).toEqual([]);
  });
});

describe('topMount', () => {
  it('is the one that no other mount there stands on, in any order of the lines', () => {
    const lines = [line(40, 9, '/m'), line(41, 40, '/m'), line(50, 9, '/other')];
    for (const order of [lines, [...lines].reverse()]) {
      expect(topMount(parseMountinfo(order.join('\n')), '/m')?.id).toBe(41);
    }
    expect(topMount(parseMountinfo(lines.join('\n')), '/none')).toBeUndefined();
  });
});

describe('mount options', () => {
  const options = { mountPoint: '/m', readOnly: false, allowOther: false, fsName: 'wire' };

  it('are safe by default: no set-user-id, no devices, permissions checked', () => {
    expect(kernelFlags(options)).toBe(2 | 4);
    expect(kernelFlags({ ...options, readOnly: true })).toBe(1 | 2 | 4);
    expect(kernelOptions(options, { uid: 7, gid: 8 })).toBe(
      'rootmode=40000,user_id=7,group_id=8,default_permissions',
    );
    expect(fusermountOptions(options)).toBe(
      'rw,nosuid,nodev,default_permissions,fsname=wire,subtype=wire',
    );
  });

  it('let others in only when asked', () => {
    const shared = { ...options, allowOther: true };
    expect(kernelOptions(shared, { uid: 0, gid: 0 })).toMatch(/,allow_other$/);
    expect(fusermountOptions(shared)).toMatch(/,allow_other,/);
  });

  it('leave access times, programs and the check of permissions out when asked', () => {
    const bare = { ...options, noAtime: true, noExec: true, defaultPermissions: false };
    expect(kernelFlags(bare)).toBe(2 | 4 | 8 | 1024);
    expect(kernelOptions(bare, { uid: 7, gid: 8 })).toBe('rootmode=40000,user_id=7,group_id=8');
    expect(fusermountOptions(bare)).toBe('rw,nosuid,nodev,noatime,noexec,fsname=wire,subtype=wire');
  });

  it('know a passed descriptor from a folder', () => {
    expect(passedDescriptor('/dev/fd/3')).toBe(3);
    for (const path of ['/dev/fd/', '/dev/fd/3/x', '/dev/fd/x', '/x/dev/fd/3', '/dev/fuse']) {
      expect(passedDescriptor(path)).toBeUndefined();
    }
  });

  it('keep a comma in the name of the source from starting another option', () => {
    const text = fusermountOptions({ ...options, fsName: 'a,suid\\' });
    expect(text).toContain('fsname=a\\,suid\\\\,subtype=wire');
  });

  it('find user_allow_other only as a line of its own', () => {
    expect(permitsAllowOther('# user_allow_other\nmount_max = 5\n')).toBe(false);
    expect(permitsAllowOther('mount_max = 5\n  user_allow_other\n')).toBe(true);
  });
});
