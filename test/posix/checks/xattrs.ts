/** Extended attributes. */
import { type Checks, pattern, refuses, same, sameBytes, USER } from '../check.ts';
import { AT, O, XATTR } from '../flags.ts';

export const xattrChecks: Checks = {
  'an attribute is set, read, listed and removed': async (sys) => {
    await sys.put('f', 'content');
    await sys.setxattr('f', 'user.colour', 'blue');
    same((await sys.getxattr('f', 'user.colour')).toString(), 'blue');
    same(await sys.xattrs('f'), ['user.colour']);
    await sys.call('lremovexattr', 'f', 'user.colour');
    same(await sys.xattrs('f'), []);
    await refuses('ENODATA', sys.getxattr('f', 'user.colour'));
  },
  'an attribute of a directory': async (sys) => {
    await sys.mkdir('d');
    await sys.setxattr('d', 'user.colour', 'blue');
    same((await sys.getxattr('d', 'user.colour')).toString(), 'blue');
  },
  'an attribute is replaced': async (sys) => {
    await sys.put('f', '');
    await sys.setxattr('f', 'user.a', 'a long value');
    await sys.setxattr('f', 'user.a', 'short');
    same((await sys.getxattr('f', 'user.a')).toString(), 'short');
  },
  'XATTR_CREATE refuses an attribute that is there with EEXIST': async (sys) => {
    await sys.put('f', '');
    await sys.setxattr('f', 'user.a', 'one', XATTR.CREATE);
    await refuses('EEXIST', sys.setxattr('f', 'user.a', 'two', XATTR.CREATE));
    same((await sys.getxattr('f', 'user.a')).toString(), 'one');
  },
  'XATTR_REPLACE refuses an attribute that is not there with ENODATA': async (sys) => {
    await sys.put('f', '');
    await refuses('ENODATA', sys.setxattr('f', 'user.a', 'one', XATTR.REPLACE));
    same(await sys.xattrs('f'), []);
  },
  'an attribute may be empty': async (sys) => {
    await sys.put('f', '');
    await sys.setxattr('f', 'user.empty', '');
    same(
      [(await sys.getxattr('f', 'user.empty')).length, await sys.xattrs('f')],
      [0, ['user.empty']],
    );
  },
  'an attribute holds bytes of every value': async (sys) => {
    await sys.put('f', '');
    const value = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    await sys.setxattr('f', 'user.bytes', value);
    sameBytes(await sys.getxattr('f', 'user.bytes'), value);
  },
  'ten attributes of 50 bytes stand side by side': async (sys) => {
    await sys.put('f', '');
    for (let at = 0; at < 10; at += 1) await sys.setxattr('f', `user.a${at}`, pattern(50, at));
    same((await sys.xattrs('f')).length, 10);
    for (let at = 0; at < 10; at += 1) {
      sameBytes(await sys.getxattr('f', `user.a${at}`), pattern(50, at));
    }
  },
  'names of attributes in any script and case are kept': async (sys) => {
    await sys.put('f', '');
    const names = ['user.A', 'user.a', 'user.a.b', 'user.a b', 'user.\u00e9'];
    for (const name of names) await sys.setxattr('f', name, name);
    same(await sys.xattrs('f'), names.toSorted());
    for (const name of names) same((await sys.getxattr('f', name)).toString(), name);
  },
  'attributes stay when the content is rewritten': async (sys) => {
    await sys.put('f', 'content');
    await sys.setxattr('f', 'user.a', 'value');
    await sys.put('f', 'other content');
    same((await sys.getxattr('f', 'user.a')).toString(), 'value');
  },
  'attributes follow a rename': async (sys) => {
    await sys.put('f', 'content');
    await sys.setxattr('f', 'user.a', 'value');
    await sys.rename('f', 'g');
    same((await sys.getxattr('g', 'user.a')).toString(), 'value');
  },
  'attributes end with the file': async (sys) => {
    await sys.put('f', 'content');
    await sys.setxattr('f', 'user.a', 'value');
    await sys.unlink('f');
    await sys.put('f', 'content');
    same(await sys.xattrs('f'), []);
  },
  'attributes are set and read through an open file': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.call('fsetxattr', fd, 'user.a', 'value', 5, 0);
    await sys.close(fd);
    same((await sys.getxattr('f', 'user.a')).toString(), 'value');
  },
  'getxattr into too little room is refused with ERANGE, and tells the length into none': async (
    sys,
  ) => {
    await sys.put('f', '');
    await sys.setxattr('f', 'user.a', 'value');
    same(await sys.call('lgetxattr', 'f', 'user.a', 0, 0), 5);
    await refuses('ERANGE', sys.call('lgetxattr', 'f', 'user.a', Buffer.alloc(3), 3));
  },
  'listxattr into too little room is refused with ERANGE': async (sys) => {
    await sys.put('f', '');
    await sys.setxattr('f', 'user.a', 'value');
    await refuses('ERANGE', sys.call('llistxattr', 'f', Buffer.alloc(3), 3));
  },
  'removexattr of what is not there is refused with ENODATA': async (sys) => {
    await sys.put('f', '');
    await refuses('ENODATA', sys.call('lremovexattr', 'f', 'user.a'));
  },
  'an attribute without a known namespace is refused with EOPNOTSUPP': async (sys) => {
    await sys.put('f', '');
    await refuses('EOPNOTSUPP', sys.setxattr('f', 'colour', 'blue'));
    await refuses('EOPNOTSUPP', sys.setxattr('f', 'nothing.colour', 'blue'));
  },
  'a name of an attribute of over 255 bytes is refused with ERANGE': async (sys) => {
    await sys.put('f', '');
    await refuses('ERANGE', sys.setxattr('f', `user.${'a'.repeat(251)}`, 'x'));
  },
  'a value of over 64 KiB is refused': async (sys) => {
    await sys.put('f', '');
    await refuses(['E2BIG', 'ENOSPC'], sys.setxattr('f', 'user.a', Buffer.alloc(65_537)));
    same(await sys.xattrs('f'), []);
  },
  'attributes of a missing name are refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.setxattr('f', 'user.a', 'x'));
    await refuses('ENOENT', sys.getxattr('f', 'user.a'));
  },
  'user attributes of a symlink are refused with EPERM': async (sys) => {
    await sys.symlink('nowhere', 'l');
    await refuses('EPERM', sys.setxattr('l', 'user.a', 'x'));
  },
  'setting an attribute needs the right to write, reading it to read': async (sys) => {
    await sys.put('f', '', 0o644);
    await sys.put('s', '', 0o600);
    await sys.setxattr('s', 'user.a', 'secret');
    await sys.as(USER, async () => {
      await refuses('EACCES', sys.setxattr('f', 'user.a', 'x'));
      await refuses('EACCES', sys.getxattr('s', 'user.a'));
    });
  },
  'trusted attributes are for root': async (sys) => {
    await sys.put('f', '', 0o666);
    await sys.setxattr('f', 'trusted.a', 'value');
    same((await sys.getxattr('f', 'trusted.a')).toString(), 'value');
    await sys.as(USER, async () => {
      await refuses('EPERM', sys.setxattr('f', 'trusted.a', 'x'));
      await refuses('ENODATA', sys.getxattr('f', 'trusted.a'));
    });
  },
  'setting an attribute changes ctime alone': async (sys) => {
    await sys.put('f', '');
    const before = await sys.stat('f');
    await sys.tick();
    await sys.setxattr('f', 'user.a', 'x');
    const after = await sys.stat('f');
    same([after.mtime === before.mtime, after.ctime > before.ctime], [true, true]);
  },
  'cp -a copies attributes, mode and times': async (sys, place) => {
    await sys.put('f', 'content', 0o640);
    await sys.utimens('f', 5_000_000_000n, 6_123_456_789n);
    await sys.setxattr('f', 'user.a', 'value');
    await place.run('cp', '-a', 'f', 'g');
    const [f, g] = [await sys.stat('f'), await sys.stat('g')];
    same(
      [g.mode, g.mtime, (await sys.getxattr('g', 'user.a')).toString()],
      [f.mode, f.mtime, 'value'],
    );
    await sys.call('faccessat', AT.FDCWD, 'g', O.RDONLY);
  },
};
