import { describe, expect, it } from 'vitest';
import { readMountOptions } from '../../../src/cli/mount-options.ts';

describe('-o', () => {
  it('is read from left to right, in lists or one by one', () => {
    expect(readMountOptions(['ro,noatime,uid=1000', 'rw,gid=0,umask=077,fsname=s3://a'])).toEqual({
      readOnly: false,
      allowOther: false,
      options: { noAtime: true, uid: 1000, gid: 0, umask: 0o077, fsName: 's3://a' },
    });
    expect(readMountOptions(['ro', 'allow_other', 'no_default_permissions,noexec'])).toEqual({
      readOnly: true,
      allowOther: true,
      options: { defaultPermissions: false, noExec: true },
    });
  });

  it('takes for granted what always holds', () => {
    const nothing = { readOnly: false, allowOther: false, options: {} };
    expect(readMountOptions(['nosuid,nodev,subtype=wire', ''])).toEqual(nothing);
  });

  it.each([
    'suid',
    'dev',
    'umask=8',
    'umask=1777',
    'umask=',
    'uid=-1',
    'uid=root',
    'uid=4294967295',
    'fsname=',
    'fsname=a b',
    'constructor',
    '__proto__=1',
    'subtype=other',
  ])('refuses %s, naming it', (word) => {
    expect(() => readMountOptions([word])).toThrow(`-o ${word}`);
  });
});
