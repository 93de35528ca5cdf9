/** open(2): its flags, and what they make of a file that is there or not. */
import { type Checks, refuses, same } from '../check.ts';
import { AT, F, O } from '../flags.ts';
import { outcome } from '../system-calls.ts';

export const openingChecks: Checks = {
  'open with O_CREAT makes an empty file of the mode that was asked for': async (sys) => {
    await sys.close(await sys.open('f', O.WRONLY | O.CREAT, 0o640));
    const { type, mode, size, nlink } = await sys.stat('f');
    same({ type, mode, size, nlink }, { type: 'file', mode: 0o640, size: 0, nlink: 1 });
  },
  'umask takes bits from the mode of a new file': async (sys) => {
    await sys.call('umask', 0o027);
    await sys.close(await sys.create('f', 0o666));
    same((await sys.stat('f')).mode, 0o640);
  },
  'open with O_CREAT keeps content and mode of a file that is there': async (sys) => {
    await sys.put('f', 'content', 0o600);
    await sys.close(await sys.open('f', O.RDWR | O.CREAT, 0o644));
    same([await sys.text('f'), (await sys.stat('f')).mode], ['content', 0o600]);
  },
  'open without O_CREAT refuses a missing name with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.open('f', O.RDWR));
    same(await sys.names('.'), []);
  },
  'O_EXCL refuses a file that is there with EEXIST': async (sys) => {
    await sys.put('f', 'content');
    await refuses('EEXIST', sys.create('f'));
    same(await sys.text('f'), 'content');
  },
  'O_EXCL refuses a directory with EEXIST': async (sys) => {
    await sys.mkdir('d');
    await refuses('EEXIST', sys.create('d'));
  },
  'O_EXCL refuses a file that another handle has just made': async (sys, place) => {
    const other = await place.another();
    const fd = await other.create('f');
    await refuses('EEXIST', sys.create('f'));
    await other.close(fd);
  },
  'of twenty processes that make a file with O_EXCL, one succeeds': async (_, place) => {
    const callers = await Promise.all(Array.from({ length: 20 }, () => place.another()));
    const ends = await Promise.all(callers.map(async (one) => await outcome(one.create('f'))));
    same(ends.filter((end) => end === 'done').length, 1);
    same(new Set(ends), new Set(['done', 'EEXIST']));
  },
  'O_EXCL makes a file again once its name was removed': async (sys) => {
    await sys.put('f', 'old');
    await sys.unlink('f');
    await sys.close(await sys.create('f'));
    same(await sys.text('f'), '');
  },
  'O_TRUNC empties a file': async (sys) => {
    await sys.put('f', 'content');
    const fd = await sys.open('f', O.WRONLY | O.TRUNC);
    same((await sys.stat('f')).size, 0);
    await sys.close(fd);
    same(await sys.text('f'), '');
  },
  'O_TRUNC keeps mode and inode number': async (sys) => {
    await sys.put('f', 'content', 0o600);
    const before = await sys.stat('f');
    await sys.close(await sys.open('f', O.WRONLY | O.TRUNC));
    const after = await sys.stat('f');
    same([after.mode, after.ino], [before.mode, before.ino]);
  },
  'O_TRUNC is seen by a handle that was open before': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      await sys.put('f', 'new');
      same((await sys.pread(fd, 100, 0)).toString(), 'new');
    });
  },
  'O_APPEND writes at the end, wherever the offset is': async (sys) => {
    await sys.put('f', 'one ');
    await sys.with('f', O.WRONLY | O.APPEND, async (fd) => {
      await sys.seek(fd, 0, 0);
      await sys.write(fd, 'two ');
      await sys.seek(fd, 1, 0);
      await sys.write(fd, 'three');
    });
    same(await sys.text('f'), 'one two three');
  },
  'two handles with O_APPEND lose nothing of each other': async (sys) => {
    const [a, b] = [
      await sys.open('f', O.WRONLY | O.CREAT | O.APPEND),
      await sys.open('f', O.WRONLY | O.CREAT | O.APPEND),
    ];
    for (const [at, fd] of [a, b, b, a, b, a].entries()) await sys.write(fd, String(at));
    await sys.close(a);
    await sys.close(b);
    same(await sys.text('f'), '012345');
  },
  'two processes with O_APPEND lose nothing of each other': async (sys, place) => {
    const other = await place.another();
    const writeAll = async (one: typeof sys, letter: string): Promise<void> => {
      const fd = await one.open('f', O.WRONLY | O.CREAT | O.APPEND);
      for (let at = 0; at < 50; at += 1) await one.write(fd, letter.repeat(10));
      await one.close(fd);
    };
    await Promise.all([writeAll(sys, 'a'), writeAll(other, 'b')]);
    const text = await sys.text('f');
    same(text.match(/a{10}|b{10}/g)?.length, 100);
    same(text.length, 1000);
  },
  'a handle with O_APPEND appends to what another has written since': async (sys) => {
    await sys.put('f', '');
    await sys.with('f', O.WRONLY | O.APPEND, async (fd) => {
      await sys.put('f', 'by another ');
      await sys.write(fd, 'end');
    });
    same(await sys.text('f'), 'by another end');
  },
  'a handle with O_APPEND appends at the new end after a truncate': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.WRONLY | O.APPEND, async (fd) => {
      await sys.write(fd, '!');
      await sys.ftruncate(fd, 3);
      await sys.write(fd, '!');
    });
    same(await sys.text('f'), 'con!');
  },
  'fcntl turns O_APPEND on and off': async (sys) => {
    await sys.put('f', 'abc');
    await sys.with('f', O.WRONLY, async (fd) => {
      await sys.call('fcntl', fd, F.SETFL, O.APPEND);
      await sys.write(fd, 'def');
      await sys.call('fcntl', fd, F.SETFL, 0);
      await sys.pwrite(fd, 'X', 0);
    });
    same(await sys.text('f'), 'Xbcdef');
  },
  'a handle opened for reading refuses to write with EBADF': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => await refuses('EBADF', sys.write(fd, 'x')));
  },
  'a handle opened for writing refuses to read with EBADF': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.WRONLY, async (fd) => await refuses('EBADF', sys.read(fd, 1)));
  },
  'a closed descriptor refuses everything with EBADF': async (sys) => {
    const fd = await sys.create('f');
    await sys.close(fd);
    await refuses('EBADF', sys.read(fd, 1));
    await refuses('EBADF', sys.write(fd, 'x'));
    await refuses('EBADF', sys.close(fd));
    await refuses('EBADF', sys.ftruncate(fd, 0));
    await refuses('EBADF', sys.call('fsync', fd));
  },
  'a directory is refused to writers with EISDIR': async (sys) => {
    await sys.mkdir('d');
    await refuses('EISDIR', sys.open('d', O.WRONLY));
    await refuses('EISDIR', sys.open('d', O.RDWR));
    await refuses('EISDIR', sys.open('d', O.WRONLY | O.CREAT));
  },
  'O_TRUNC of a directory is refused with EISDIR': async (sys) => {
    await sys.mkdir('d');
    await refuses('EISDIR', sys.open('d', O.RDWR | O.TRUNC));
  },
  'read of a directory is refused with EISDIR': async (sys) => {
    await sys.mkdir('d');
    await sys.with('d', O.RDONLY, async (fd) => await refuses('EISDIR', sys.read(fd, 1)));
  },
  'O_DIRECTORY refuses a file with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await refuses('ENOTDIR', sys.open('f', O.RDONLY | O.DIRECTORY));
  },
  'a path through a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await refuses('ENOTDIR', sys.open('f/g', O.RDONLY));
    await refuses('ENOTDIR', sys.open('f/g', O.WRONLY | O.CREAT));
    await refuses('ENOTDIR', sys.open('f/', O.RDONLY));
  },
  'O_CREAT in a missing directory is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.create('d/f'));
    same(await sys.names('.'), []);
  },
  'O_CREAT of a name that ends with a slash is refused with EISDIR': async (sys) => {
    await refuses('EISDIR', sys.open('f/', O.WRONLY | O.CREAT));
  },
  'an empty path is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.open('', O.RDONLY));
    await refuses('ENOENT', sys.create(''));
  },
  'openat takes a path relative to an open directory': async (sys) => {
    await sys.mkdir('d');
    await sys.with('d', O.RDONLY | O.DIRECTORY, async (dir) => {
      const fd = await sys.call('openat', dir, 'f', O.WRONLY | O.CREAT, 0o644);
      await sys.write(fd, 'inside');
      await sys.close(fd);
    });
    same(await sys.text('d/f'), 'inside');
  },
  'openat works in a directory that was renamed since': async (sys) => {
    await sys.mkdir('d');
    await sys.with('d', O.RDONLY | O.DIRECTORY, async (dir) => {
      await sys.rename('d', 'e');
      const fd = await sys.call('openat', dir, 'f', O.WRONLY | O.CREAT, 0o644);
      await sys.write(fd, 'inside');
      await sys.close(fd);
    });
    same(await sys.text('e/f'), 'inside');
  },
  'openat at a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await sys.with('f', O.RDONLY, async (fd) => {
      await refuses('ENOTDIR', sys.call('openat', fd, 'g', O.RDONLY, 0));
    });
  },
  'O_PATH gives a descriptor for fstat and openat, not for reading': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', 'content');
    await sys.with('d', O.PATH, async (dir) => {
      same((await sys.fstat(dir)).type, 'directory');
      const fd = await sys.call('openat', dir, 'f', O.PATH, 0);
      same((await sys.fstat(fd)).size, 7);
      await refuses('EBADF', sys.read(fd, 1));
      await sys.close(fd);
    });
  },
  'O_TMPFILE makes a file without a name, with content': async (sys) => {
    const fd = await sys.open('.', O.TMPFILE | O.DIRECTORY | O.RDWR, 0o600);
    await sys.write(fd, 'nameless');
    same((await sys.pread(fd, 100, 0)).toString(), 'nameless');
    same((await sys.fstat(fd)).nlink, 0);
    same(await sys.names('.'), []);
    await sys.close(fd);
  },
  'O_NOATIME is allowed to the owner': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY | O.NOATIME, async (fd) => {
      same((await sys.read(fd, 100)).toString(), 'content');
    });
  },
  'F_GETFL tells how a file was opened': async (sys) => {
    await sys.put('f', '');
    await sys.with('f', O.RDWR | O.APPEND, async (fd) => {
      const flags = await sys.call('fcntl', fd, F.GETFL, 0);
      same([flags & 3, flags & O.APPEND], [O.RDWR, O.APPEND]);
    });
  },
  'a file that may not be written can be written by its maker, who has it open': async (sys) => {
    await sys.chmod('.', 0o777);
    await sys.as(54_321, async () => {
      const fd = await sys.open('f', O.WRONLY | O.CREAT | O.EXCL, 0o444);
      await sys.write(fd, 'content');
      await sys.close(fd);
      same(await sys.text('f'), 'content');
      await refuses('EACCES', sys.open('f', O.WRONLY));
    });
  },
  'two hundred files can be written at once': async (sys) => {
    const fds: number[] = [];
    for (let at = 0; at < 200; at += 1) fds.push(await sys.create(`f${at}`));
    for (const [at, fd] of fds.entries()) await sys.write(fd, `content ${at}`);
    for (const [at, fd] of fds.entries()) {
      same((await sys.pread(fd, 100, 0)).toString(), `content ${at}`);
    }
    for (const fd of fds) await sys.close(fd);
    same((await sys.names('.')).length, 200);
  },
  'faccessat tells a missing name from one that is there': async (sys) => {
    await sys.put('f', '');
    await sys.call('faccessat', AT.FDCWD, 'f', 0);
    await refuses('ENOENT', sys.call('faccessat', AT.FDCWD, 'g', 0));
  },
  'a file opened twice in one process has two offsets': async (sys) => {
    await sys.put('f', 'abcdef');
    const [a, b] = [await sys.open('f', O.RDONLY), await sys.open('f', O.RDONLY)];
    same((await sys.read(a, 3)).toString(), 'abc');
    same((await sys.read(b, 2)).toString(), 'ab');
    same((await sys.read(a, 3)).toString(), 'def');
    await sys.close(a);
    await sys.close(b);
  },
};
