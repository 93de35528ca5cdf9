/** rename(2) and renameat2(2) in all combinations. */
import { type Checks, pattern, refuses, same, sameBytes, USER } from '../check.ts';
import { AT, O, RENAME } from '../flags.ts';

export const renameChecks: Checks = {
  'rename moves a file to a new name': async (sys) => {
    await sys.put('a', 'content');
    await sys.rename('a', 'b');
    same([await sys.names('.'), await sys.text('b')], [['b'], 'content']);
  },
  'rename keeps mode, owner and mtime of a file': async (sys) => {
    await sys.put('a', 'content', 0o640);
    await sys.chown('a', USER, USER);
    await sys.utimens('a', 1_000_000_000n, 5_000_000_000n);
    await sys.rename('a', 'b');
    const { mode, uid, mtime } = await sys.stat('b');
    same([mode, uid, mtime], [0o640, USER, 5_000_000_000n]);
  },
  'rename keeps the inode number of a file': async (sys) => {
    await sys.put('a', 'content');
    const before = await sys.stat('a');
    await sys.rename('a', 'b');
    const { ino } = await sys.stat('b');
    same(ino === before.ino ? 'the same' : 'another', 'the same');
  },
  'rename replaces a file': async (sys) => {
    await sys.put('a', 'new');
    await sys.put('b', 'old content');
    await sys.rename('a', 'b');
    same([await sys.names('.'), await sys.text('b')], [['b'], 'new']);
  },
  'rename of a file to itself does nothing': async (sys) => {
    await sys.put('a', 'content');
    await sys.rename('a', 'a');
    same(await sys.text('a'), 'content');
  },
  'rename moves a file into another directory': async (sys) => {
    await sys.mkdir('d');
    await sys.put('a', 'content');
    await sys.rename('a', 'd/b');
    same([await sys.names('.'), await sys.text('d/b')], [['d'], 'content']);
  },
  'rename moves a file up': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/a', 'content');
    await sys.rename('d/a', 'b');
    same([await sys.names('.'), await sys.names('d')], [['b', 'd'], []]);
  },
  'rename moves a directory with all that is below it': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('d/e');
    await sys.put('d/f', 'one');
    await sys.put('d/e/g', 'two');
    await sys.rename('d', 'n');
    same(await sys.names('.'), ['n']);
    same([await sys.names('n'), await sys.names('n/e')], [['e', 'f'], ['g']]);
    same([await sys.text('n/f'), await sys.text('n/e/g')], ['one', 'two']);
  },
  'rename moves an empty directory': async (sys) => {
    await sys.mkdir('d');
    await sys.rename('d', 'e');
    same([await sys.names('.'), (await sys.stat('e')).type], [['e'], 'directory']);
  },
  'rename keeps the mode of a directory': async (sys) => {
    await sys.mkdir('d', 0o750);
    await sys.rename('d', 'e');
    same((await sys.stat('e')).mode, 0o750);
  },
  'rename keeps the inode number of a directory': async (sys) => {
    await sys.mkdir('d');
    const before = await sys.stat('d');
    await sys.rename('d', 'e');
    const { ino } = await sys.stat('e');
    same(ino === before.ino ? 'the same' : 'another', 'the same');
  },
  'rename replaces an empty directory': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', 'content');
    await sys.mkdir('e');
    await sys.rename('d', 'e');
    same([await sys.names('.'), await sys.text('e/f')], [['e'], 'content']);
  },
  'rename over a directory that is not empty is refused': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('e');
    await sys.put('e/f', 'content');
    await refuses(['ENOTEMPTY', 'EEXIST'], sys.rename('d', 'e'));
    same([await sys.names('.'), await sys.text('e/f')], [['d', 'e'], 'content']);
  },
  'rename of a file over a directory is refused with EISDIR': async (sys) => {
    await sys.put('a', 'content');
    await sys.mkdir('d');
    await refuses('EISDIR', sys.rename('a', 'd'));
    same(await sys.text('a'), 'content');
  },
  'rename of a directory over a file is refused with ENOTDIR': async (sys) => {
    await sys.put('a', 'content');
    await sys.mkdir('d');
    await refuses('ENOTDIR', sys.rename('d', 'a'));
    same(await sys.text('a'), 'content');
  },
  'rename of a directory below itself is refused with EINVAL': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('d/e');
    await refuses('EINVAL', sys.rename('d', 'd/f'));
    await refuses('EINVAL', sys.rename('d', 'd/e/f'));
    same(await sys.names('d'), ['e']);
  },
  'rename over a directory that it is in is refused': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('d/e');
    await refuses(['ENOTEMPTY', 'EEXIST'], sys.rename('d/e', 'd'));
  },
  'rename of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.rename('a', 'b'));
    await sys.put('b', 'content');
    await refuses('ENOENT', sys.rename('a', 'b'));
    same(await sys.text('b'), 'content');
  },
  'rename into a missing directory is refused with ENOENT': async (sys) => {
    await sys.put('a', 'content');
    await refuses('ENOENT', sys.rename('a', 'd/b'));
    same(await sys.text('a'), 'content');
  },
  'rename below a file is refused with ENOTDIR': async (sys) => {
    await sys.put('a', '');
    await sys.put('b', '');
    await refuses('ENOTDIR', sys.rename('a', 'b/c'));
    await refuses('ENOTDIR', sys.rename('b/c', 'a'));
  },
  'rename of . and .. is refused with EBUSY or EINVAL': async (sys) => {
    await sys.mkdir('d');
    await refuses(['EBUSY', 'EINVAL'], sys.rename('.', 'x'));
    await refuses(['EBUSY', 'EINVAL'], sys.rename('d/..', 'x'));
    await refuses(['EBUSY', 'EINVAL'], sys.rename('d', '.'));
  },
  'rename of a file to a name with a slash at its end is refused with ENOTDIR': async (sys) => {
    await sys.put('a', '');
    await refuses('ENOTDIR', sys.rename('a', 'b/'));
    await refuses('ENOTDIR', sys.rename('a/', 'b'));
  },
  'RENAME_NOREPLACE refuses a name that is there with EEXIST': async (sys) => {
    await sys.put('a', 'a');
    await sys.put('b', 'b');
    await refuses('EEXIST', sys.rename('a', 'b', RENAME.NOREPLACE));
    same([await sys.text('a'), await sys.text('b')], ['a', 'b']);
  },
  'RENAME_NOREPLACE moves to a name that is free': async (sys) => {
    await sys.put('a', 'a');
    await sys.rename('a', 'b', RENAME.NOREPLACE);
    same([await sys.names('.'), await sys.text('b')], [['b'], 'a']);
  },
  'RENAME_NOREPLACE refuses an empty directory with EEXIST': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('e');
    await refuses('EEXIST', sys.rename('d', 'e', RENAME.NOREPLACE));
  },
  'RENAME_EXCHANGE swaps two files': async (sys) => {
    await sys.put('a', 'a');
    await sys.put('b', 'b');
    await sys.rename('a', 'b', RENAME.EXCHANGE);
    same([await sys.text('a'), await sys.text('b')], ['b', 'a']);
  },
  'RENAME_EXCHANGE swaps a file and a directory': async (sys) => {
    await sys.put('a', 'a');
    await sys.mkdir('d');
    await sys.put('d/f', 'f');
    await sys.rename('a', 'd', RENAME.EXCHANGE);
    same([await sys.text('d'), await sys.text('a/f')], ['a', 'f']);
  },
  'RENAME_EXCHANGE of a missing name is refused with ENOENT': async (sys) => {
    await sys.put('a', 'a');
    await refuses('ENOENT', sys.rename('a', 'b', RENAME.EXCHANGE));
    same(await sys.text('a'), 'a');
  },
  'flags of renameat2 that contradict each other are refused with EINVAL': async (sys) => {
    await sys.put('a', 'a');
    await sys.put('b', 'b');
    await refuses('EINVAL', sys.rename('a', 'b', RENAME.NOREPLACE | RENAME.EXCHANGE));
    await refuses('EINVAL', sys.rename('a', 'b', 0x80));
    same([await sys.text('a'), await sys.text('b')], ['a', 'b']);
  },
  'a handle follows its file to a new name': async (sys) => {
    await sys.put('a', 'content');
    const fd = await sys.open('a', O.RDWR);
    await sys.rename('a', 'b');
    same((await sys.pread(fd, 100, 0)).toString(), 'content');
    await sys.pwrite(fd, 'C', 0);
    await sys.close(fd);
    same([await sys.names('.'), await sys.text('b')], [['b'], 'Content']);
  },
  'a file that is renamed while it is written ends at its new name': async (sys) => {
    const fd = await sys.create('a');
    await sys.write(fd, 'before ');
    await sys.rename('a', 'b');
    await sys.write(fd, 'after');
    await sys.close(fd);
    same([await sys.names('.'), await sys.text('b')], [['b'], 'before after']);
  },
  'a file that is written is renamed over another': async (sys) => {
    await sys.put('b', 'old content');
    const fd = await sys.create('a');
    await sys.write(fd, 'new');
    await sys.rename('a', 'b');
    same(await sys.text('b'), 'new');
    await sys.close(fd);
    same([await sys.names('.'), await sys.text('b')], [['b'], 'new']);
  },
  'a handle follows its file when the directory is renamed': async (sys) => {
    await sys.mkdir('d');
    const fd = await sys.open('d/f', O.RDWR | O.CREAT);
    await sys.write(fd, 'before ');
    await sys.rename('d', 'e');
    await sys.write(fd, 'after');
    await sys.close(fd);
    same(await sys.text('e/f'), 'before after');
    await refuses('ENOENT', sys.stat('d'));
  },
  'a new file of the old name is another one': async (sys) => {
    await sys.put('a', 'first');
    await sys.rename('a', 'b');
    await sys.put('a', 'second');
    same([await sys.text('a'), await sys.text('b')], ['second', 'first']);
    same((await sys.stat('a')).ino === (await sys.stat('b')).ino, false);
  },
  'a file is renamed a hundred times': async (sys) => {
    await sys.put('f0', 'content');
    for (let at = 0; at < 100; at += 1) await sys.rename(`f${at}`, `f${at + 1}`);
    same([await sys.names('.'), await sys.text('f100')], [['f100'], 'content']);
  },
  'two files change places by way of a third name': async (sys) => {
    await sys.put('a', 'a');
    await sys.put('b', 'b');
    await sys.rename('a', 't');
    await sys.rename('b', 'a');
    await sys.rename('t', 'b');
    same([await sys.text('a'), await sys.text('b')], ['b', 'a']);
  },
  'a file saved by rename is never seen half': async (sys, place) => {
    const other = await place.another();
    const size = 100_000;
    await sys.put('f', pattern(size, 1));
    for (let round = 2; round < 30; round += 1) {
      await sys.put('f.new', pattern(size, round));
      const [, seen] = await Promise.all([sys.rename('f.new', 'f'), other.bytes('f')]);
      const isOld = seen.equals(pattern(size, round - 1));
      if (!isOld) sameBytes(seen, pattern(size, round));
    }
  },
  'renameat takes names relative to open directories': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('e');
    await sys.put('d/f', 'content');
    const [d, e] = [await sys.open('d', O.DIRECTORY), await sys.open('e', O.DIRECTORY)];
    await sys.call('renameat2', d, 'f', e, 'g', 0);
    await sys.call('renameat2', e, 'g', AT.FDCWD, 'h', 0);
    await sys.close(d);
    await sys.close(e);
    same(await sys.text('h'), 'content');
  },
  'rename of a directory into another keeps .. right': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('e');
    await sys.put('e/mark', '');
    await sys.rename('d', 'e/d');
    same(await sys.names('e/d/..'), ['d', 'mark']);
  },
  'a large directory is renamed with all its names': async (sys) => {
    await sys.mkdir('d');
    for (let at = 0; at < 120; at += 1) await sys.put(`d/f${at}`, String(at));
    await sys.rename('d', 'e');
    same((await sys.names('e')).length, 120);
    same([await sys.text('e/f0'), await sys.text('e/f119')], ['0', '119']);
    await refuses('ENOENT', sys.stat('d'));
  },
};
