/** truncate, ftruncate and fallocate: what becomes of size and content. */
import { type Checks, holds, pattern, refuses, same, sameBytes } from '../check.ts';
import { FALLOC, O, SEEK } from '../flags.ts';
import { outcome } from '../system-calls.ts';

const MiB = 1024 * 1024;

export const sizeChecks: Checks = {
  'truncate cuts a closed file': async (sys) => {
    await sys.put('f', '0123456789');
    await sys.truncate('f', 4);
    same([await sys.text('f'), (await sys.stat('f')).size], ['0123', 4]);
  },
  'truncate grows a closed file with zeros': async (sys) => {
    await sys.put('f', 'ab');
    await sys.truncate('f', 6);
    same(await sys.text('f'), 'ab\0\0\0\0');
  },
  'truncate to the size it has changes no byte': async (sys) => {
    await sys.put('f', 'content');
    await sys.truncate('f', 7);
    same(await sys.text('f'), 'content');
  },
  'truncate to nothing, and to something again, gives zeros': async (sys) => {
    await sys.put('f', 'content');
    await sys.truncate('f', 0);
    await sys.truncate('f', 3);
    same(await sys.text('f'), '\0\0\0');
  },
  'bytes that were cut off are zeros when the file grows again': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'abcdefghij');
    await sys.ftruncate(fd, 3);
    await sys.ftruncate(fd, 8);
    same((await sys.pread(fd, 20, 0)).toString(), 'abc\0\0\0\0\0');
    await sys.close(fd);
    same(await sys.text('f'), 'abc\0\0\0\0\0');
  },
  'bytes that were cut off stay away when a write goes beyond them': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, pattern(20_000));
    await sys.ftruncate(fd, 100);
    await sys.pwrite(fd, 'end', 15_000);
    await sys.close(fd);
    const expected = Buffer.alloc(15_003);
    pattern(20_000).copy(expected, 0, 0, 100);
    expected.write('end', 15_000);
    sameBytes(await sys.bytes('f'), expected);
  },
  'ftruncate cuts and grows an open file': async (sys) => {
    await sys.put('f', '0123456789');
    await sys.with('f', O.RDWR, async (fd) => {
      await sys.ftruncate(fd, 5);
      same((await sys.fstat(fd)).size, 5);
      await sys.ftruncate(fd, 7);
      same((await sys.pread(fd, 20, 0)).toString(), '01234\0\0');
    });
    same(await sys.text('f'), '01234\0\0');
  },
  'ftruncate leaves the offset where it is': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, '0123456789');
    await sys.ftruncate(fd, 2);
    same(await sys.seek(fd, 0, SEEK.CUR), 10);
    await sys.write(fd, 'end');
    await sys.close(fd);
    same(await sys.text('f'), `01${'\0'.repeat(8)}end`);
  },
  'truncate by name is seen by a handle that is open': async (sys) => {
    await sys.put('f', '0123456789');
    await sys.with('f', O.RDWR, async (fd) => {
      await sys.truncate('f', 3);
      same((await sys.fstat(fd)).size, 3);
      same((await sys.pread(fd, 20, 0)).toString(), '012');
      await sys.pwrite(fd, 'X', 1);
    });
    same(await sys.text('f'), '0X2');
  },
  'truncate by name keeps what an open handle has written': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'unsaved content');
    await sys.truncate('f', 7);
    same((await sys.pread(fd, 100, 0)).toString(), 'unsaved');
    await sys.close(fd);
    same(await sys.text('f'), 'unsaved');
  },
  'a large file is cut in the middle and keeps what is before it': async (sys) => {
    const content = pattern(6 * MiB);
    await sys.put('f', content);
    await sys.truncate('f', 2 * MiB + 1);
    sameBytes(await sys.bytes('f'), content.subarray(0, 2 * MiB + 1));
  },
  'a large file is cut and written on': async (sys) => {
    const content = pattern(6 * MiB);
    await sys.put('f', content);
    await sys.with('f', O.RDWR | O.APPEND, async (fd) => {
      await sys.ftruncate(fd, 3 * MiB);
      await sys.write(fd, 'end');
    });
    sameBytes(
      await sys.bytes('f'),
      Buffer.concat([content.subarray(0, 3 * MiB), Buffer.from('end')]),
    );
  },
  'a file grown by a megabyte reads as zeros': async (sys) => {
    await sys.put('f', 'x');
    await sys.truncate('f', MiB);
    const expected = Buffer.alloc(MiB);
    expected.write('x');
    sameBytes(await sys.bytes('f'), expected);
  },
  'a new file that is only grown is saved': async (sys) => {
    const fd = await sys.create('f');
    await sys.ftruncate(fd, 5000);
    await sys.close(fd);
    sameBytes(await sys.bytes('f'), Buffer.alloc(5000));
  },
  'ftruncate through a handle for reading is refused': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      await refuses(['EINVAL', 'EBADF'], sys.ftruncate(fd, 0));
    });
    same(await sys.text('f'), 'content');
  },
  'truncate of a directory is refused with EISDIR': async (sys) => {
    await sys.mkdir('d');
    await refuses('EISDIR', sys.truncate('d', 0));
  },
  'truncate of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.truncate('f', 0));
  },
  'truncate to a negative size is refused with EINVAL': async (sys) => {
    await sys.put('f', 'content');
    await refuses('EINVAL', sys.truncate('f', -1));
    same(await sys.text('f'), 'content');
  },
  'truncate to the largest size there is is refused with EFBIG or EINVAL, or taken': async (
    sys,
  ) => {
    await sys.put('f', 'content');
    const end = await outcome(sys.truncate('f', 2n ** 63n - 1n));
    holds(['EFBIG', 'EINVAL', 'done'].includes(end), `${end} is an answer`);
    await sys.truncate('f', 4);
    same(await sys.text('f'), 'cont');
  },
  'truncate asks for the right to write, not to read': async (sys) => {
    await sys.put('r', 'content', 0o644);
    await sys.put('w', 'content', 0o222);
    await sys.as(54_321, async () => {
      await refuses('EACCES', sys.truncate('r', 0));
      await sys.truncate('w', 3);
    });
    same([await sys.text('r'), await sys.text('w')], ['content', 'con']);
  },
  'fallocate makes room and size': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'abc');
    await sys.call('fallocate', fd, 0, 0, 10_000);
    same((await sys.fstat(fd)).size, 10_000);
    await sys.close(fd);
    const expected = Buffer.alloc(10_000);
    expected.write('abc');
    sameBytes(await sys.bytes('f'), expected);
  },
  'fallocate within the file changes no byte': async (sys) => {
    await sys.put('f', pattern(10_000));
    await sys.with('f', O.RDWR, async (fd) => await sys.call('fallocate', fd, 0, 100, 5000));
    sameBytes(await sys.bytes('f'), pattern(10_000));
  },
  'fallocate that keeps the size keeps it': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDWR, async (fd) => {
      await sys.call('fallocate', fd, FALLOC.KEEP_SIZE, 0, 100_000);
      same((await sys.fstat(fd)).size, 7);
    });
    same(await sys.text('f'), 'content');
  },
  'fallocate punches a hole that reads as zeros': async (sys) => {
    const content = pattern(20_000);
    await sys.put('f', content);
    await sys.with('f', O.RDWR, async (fd) => {
      await sys.call('fallocate', fd, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE, 3000, 9001);
    });
    content.fill(0, 3000, 12_001);
    sameBytes(await sys.bytes('f'), content);
  },
  'a hole punched beyond the end keeps the size': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDWR, async (fd) => {
      await sys.call('fallocate', fd, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE, 4, 100_000);
    });
    same(await sys.text('f'), 'cont\0\0\0');
  },
  'fallocate of nothing or of less is refused with EINVAL': async (sys) => {
    const fd = await sys.create('f');
    await refuses('EINVAL', sys.call('fallocate', fd, 0, 0, 0));
    await refuses('EINVAL', sys.call('fallocate', fd, 0, -1, 10));
    await sys.close(fd);
  },
  'fallocate through a handle for reading is refused with EBADF': async (sys) => {
    await sys.put('f', '');
    await sys.with('f', O.RDONLY, async (fd) => {
      await refuses('EBADF', sys.call('fallocate', fd, 0, 0, 10));
    });
  },
};
