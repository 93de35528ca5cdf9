/** struct stat, struct statfs, and nodes that are no files. */
import { type Checks, holds, refuses, same, USER } from '../check.ts';
import { AT, O, S } from '../flags.ts';

export const statChecks: Checks = {
  'stat tells size and blocks of a file': async (sys) => {
    await sys.put('f', 'x'.repeat(10_000));
    const { size, blocks, type } = await sys.stat('f');
    same([size, type], [10_000, 'file']);
    holds(blocks >= 20 && blocks <= 64, `${blocks} blocks of 512 bytes hold 10,000`);
  },
  'stat of an empty file tells no size': async (sys) => {
    await sys.put('f', '');
    same((await sys.stat('f')).size, 0);
  },
  'stat of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.stat('f'));
    await refuses('ENOENT', sys.stat('d/f'));
  },
  'the inode number of a file stays the same': async (sys) => {
    await sys.put('f', 'one');
    const { ino } = await sys.stat('f');
    await sys.put('f', 'another');
    await sys.chmod('f', 0o600);
    same((await sys.stat('f')).ino, ino);
    await sys.with('f', O.RDONLY, async (fd) => same((await sys.fstat(fd)).ino, ino));
  },
  'inode numbers of different files differ': async (sys) => {
    const numbers = new Set<bigint>();
    for (let at = 0; at < 30; at += 1) {
      await sys.put(`f${at}`, '');
      numbers.add((await sys.stat(`f${at}`)).ino);
    }
    same(numbers.size, 30);
  },
  'files of a directory are on the device of the directory': async (sys) => {
    await sys.put('f', '');
    same((await sys.stat('f')).dev, (await sys.stat('.')).dev);
  },
  'a file counts one link': async (sys) => {
    await sys.put('f', '');
    same((await sys.stat('f')).nlink, 1);
  },
  'a block size is given that programs can use': async (sys) => {
    await sys.put('f', '');
    const { blockSize } = await sys.stat('f');
    holds(blockSize >= 512 && blockSize % 512 === 0, `${blockSize} is a block size`);
  },
  'fstat and stat agree while a file grows': async (sys) => {
    const fd = await sys.create('f');
    for (const size of [10, 20, 30]) {
      await sys.write(fd, '0123456789');
      same([(await sys.fstat(fd)).size, (await sys.stat('f')).size], [size, size]);
    }
    await sys.close(fd);
  },
  'statfs tells room and the length of names': async (sys) => {
    const { blockSize, blocks, free, available, nameLength } = await sys.statfs('.');
    holds(blocks > 0n && free > 0n && available > 0n, 'there is room');
    holds(free <= blocks && available <= free, 'no more is free than there is');
    holds(blockSize >= 512, 'blocks have a size');
    same(nameLength, 255);
  },
  'fstatfs of a file tells the same as statfs': async (sys) => {
    await sys.put('f', '');
    const { type, blockSize, nameLength } = await sys.statfs('f');
    const root = await sys.statfs('.');
    same([type, blockSize, nameLength], [root.type, root.blockSize, root.nameLength]);
  },
  'df tells a size': async (_, place) => {
    const [, line = ''] = (await place.run('df', '-Pk', '.')).split('\n');
    holds(/ \d+ +\d+ +\d+ +\d+% /.test(line), `${line} has figures`);
  },
  'statx of an empty path is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.stat(''));
  },
  'mknod makes a regular file': async (sys) => {
    await sys.mknod('f', S.IFREG | 0o640);
    const { type, mode, size } = await sys.stat('f');
    same({ type, mode, size }, { type: 'file', mode: 0o640, size: 0 });
    await sys.put('f', 'content');
    same(await sys.text('f'), 'content');
  },
  'mknod makes a fifo that carries data': async (sys, place) => {
    const other = await place.another();
    await sys.mknod('p', S.IFIFO | 0o644);
    same((await sys.stat('p')).type, 'fifo');
    const [reader, writer] = await Promise.all([
      sys.open('p', O.RDONLY),
      other.open('p', O.WRONLY),
    ]);
    await other.write(writer, 'through');
    same((await sys.read(reader, 100)).toString(), 'through');
    await other.close(writer);
    await sys.close(reader);
  },
  'a fifo without a reader refuses writers that do not wait with ENXIO': async (sys) => {
    await sys.mknod('p', S.IFIFO | 0o644);
    await refuses('ENXIO', sys.open('p', O.WRONLY | O.NONBLOCK));
  },
  'mknod makes a socket, which open refuses with ENXIO': async (sys) => {
    await sys.mknod('s', S.IFSOCK | 0o600);
    same((await sys.stat('s')).type, 'socket');
    await refuses('ENXIO', sys.open('s', O.RDONLY));
  },
  'mknod by root makes devices, with their numbers': async (sys) => {
    // Major 1, minor 3: /dev/null. The mount does not let it be opened.
    await sys.mknod('c', S.IFCHR | 0o600, 0x103);
    await sys.mknod('b', S.IFBLK | 0o600, 0x702);
    const [c, b] = [await sys.stat('c'), await sys.stat('b')];
    same([c.type, c.rdev, b.type, b.rdev], ['character device', '1:3', 'block device', '7:2']);
  },
  'a device on the mount cannot be opened': async (sys) => {
    await sys.mknod('c', S.IFCHR | 0o600, 0x103);
    await refuses('EACCES', sys.open('c', O.RDONLY));
  },
  'mknod of devices is refused to ordinary users with EPERM': async (sys) => {
    await sys.chmod('.', 0o777);
    await sys.as(USER, async () => {
      await refuses('EPERM', sys.mknod('c', S.IFCHR | 0o600, 0x103));
      await sys.mknod('p', S.IFIFO | 0o600);
    });
    same((await sys.stat('p')).uid, USER);
  },
  'mknod over a name that is there is refused with EEXIST': async (sys) => {
    await sys.put('f', '');
    await refuses('EEXIST', sys.mknod('f', S.IFIFO | 0o644));
    await refuses('EEXIST', sys.mknod('f', S.IFREG | 0o644));
  },
  'mknod of a directory is refused': async (sys) => {
    await refuses(['EPERM', 'EINVAL'], sys.mknod('d', S.IFDIR | 0o755));
  },
  'a fifo is renamed and removed like a file': async (sys) => {
    await sys.mknod('p', S.IFIFO | 0o644);
    await sys.rename('p', 'q');
    same((await sys.stat('q')).type, 'fifo');
    await sys.unlink('q');
    same(await sys.names('.'), []);
  },
  'a listing shows fifos and sockets as what they are': async (sys) => {
    await sys.mknod('p', S.IFIFO | 0o644);
    await sys.mknod('s', S.IFSOCK | 0o644);
    const entries = (await sys.entries('.')).filter(({ name }) => !name.startsWith('.'));
    const found = entries.map(({ name, type }) => `${name} ${type}`).sort();
    same(found, ['p fifo', 's socket']);
  },
  'link makes a second name of a file': async (sys) => {
    await sys.put('a', 'content');
    await sys.link('a', 'b');
    const [a, b] = [await sys.stat('a'), await sys.stat('b')];
    same([a.ino === b.ino, a.nlink, b.nlink], [true, 2, 2]);
    await sys.put('b', 'changed');
    same(await sys.text('a'), 'changed');
    await sys.unlink('a');
    same([await sys.text('b'), (await sys.stat('b')).nlink], ['changed', 1]);
  },
  'link of a directory is refused with EPERM': async (sys) => {
    await sys.mkdir('d');
    await refuses('EPERM', sys.link('d', 'e'));
    same(await sys.names('.'), ['d']);
  },
  'link to a name that is there is refused with EEXIST': async (sys) => {
    await sys.put('a', 'a');
    await sys.put('b', 'b');
    await refuses('EEXIST', sys.link('a', 'b'));
    same(await sys.text('b'), 'b');
  },
  'link of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.link('a', 'b'));
    same(await sys.names('.'), []);
  },
  'linkat gives a nameless file a name': async (sys) => {
    const fd = await sys.open('.', O.TMPFILE | O.DIRECTORY | O.RDWR, 0o644);
    await sys.write(fd, 'content');
    await sys.call('linkat', AT.FDCWD, `/proc/self/fd/${fd}`, AT.FDCWD, 'f', AT.SYMLINK_FOLLOW);
    await sys.close(fd);
    same(await sys.text('f'), 'content');
  },
  'an ioctl that a file does not know is refused with ENOTTY': async (sys) => {
    await sys.put('f', '');
    // TCGETS
    await sys.with(
      'f',
      O.RDONLY,
      async (fd) => await refuses('ENOTTY', sys.call('ioctl', fd, 0x5401, 0)),
    );
  },
};
