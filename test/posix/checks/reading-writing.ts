/** read, write and their kin, at any offset and between handles. */
import { type Checks, holds, pattern, refuses, same, sameBytes } from '../check.ts';
import { O, SEEK } from '../flags.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
/** The largest offset that off_t holds. */
const LAST_OFFSET = 2n ** 63n - 1n;

export const readingWritingChecks: Checks = {
  'what was written is read back, in the same handle and in another': async (sys) => {
    const fd = await sys.create('f');
    same(await sys.write(fd, 'content'), 7);
    same((await sys.pread(fd, 100, 0)).toString(), 'content');
    same(await sys.text('f'), 'content');
    await sys.close(fd);
    same(await sys.text('f'), 'content');
  },
  'another process reads what is not closed yet': async (sys, place) => {
    const other = await place.another();
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    same(await other.text('f'), 'content');
    same((await other.stat('f')).size, 7);
    await sys.close(fd);
  },
  'read ends at the end of the file': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      same((await sys.read(fd, 4)).toString(), 'cont');
      same((await sys.read(fd, 100)).toString(), 'ent');
      same((await sys.read(fd, 100)).length, 0);
    });
  },
  'pread at and beyond the end gives nothing': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      same((await sys.pread(fd, 10, 7)).length, 0);
      same((await sys.pread(fd, 10, 1_000_000_000)).length, 0);
      same((await sys.pread(fd, 10, 6)).toString(), 't');
    });
  },
  'pread and pwrite leave the offset where it is': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'abc');
    await sys.pwrite(fd, 'XYZ', 10);
    await sys.pread(fd, 2, 0);
    same(await sys.seek(fd, 0, SEEK.CUR), 3);
    await sys.close(fd);
  },
  'a pwrite beyond the end leaves zeros between': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'ab');
    await sys.pwrite(fd, 'cd', 5);
    await sys.close(fd);
    same(await sys.text('f'), 'ab\0\0\0cd');
  },
  'a write after a seek beyond the end leaves zeros between': async (sys) => {
    const fd = await sys.create('f');
    await sys.seek(fd, 10_000, SEEK.SET);
    same((await sys.fstat(fd)).size, 0);
    await sys.write(fd, 'end');
    await sys.close(fd);
    sameBytes(await sys.bytes('f'), Buffer.concat([Buffer.alloc(10_000), Buffer.from('end')]));
  },
  'a write of no bytes changes nothing': async (sys) => {
    await sys.put('f', 'content');
    const before = await sys.stat('f');
    await sys.tick();
    await sys.with('f', O.WRONLY, async (fd) => {
      same(await sys.write(fd, ''), 0);
      same(await sys.pwrite(fd, '', 1000), 0);
    });
    const { size, mtime } = await sys.stat('f');
    same({ size, mtime }, { size: 7, mtime: before.mtime });
  },
  'a byte in the middle of a file is replaced, and nothing else': async (sys) => {
    const content = pattern(300_000);
    await sys.put('f', content);
    await sys.with('f', O.WRONLY, async (fd) => await sys.pwrite(fd, '!', 150_001));
    content[150_001] = 0x21;
    sameBytes(await sys.bytes('f'), content);
  },
  'many small changes of a large file are all kept': async (sys) => {
    const content = pattern(3 * MiB);
    await sys.put('f', content);
    await sys.with('f', O.RDWR, async (fd) => {
      for (let at = 0; at < 100; at += 1) {
        const offset = (at * 1_234_567) % (3 * MiB - 10);
        const bytes = pattern(7, at + 2);
        await sys.pwrite(fd, bytes, offset);
        bytes.copy(content, offset);
      }
      sameBytes(await sys.pread(fd, 3 * MiB, 0), content);
    });
    sameBytes(await sys.bytes('f'), content);
  },
  'a file is written from its end to its start': async (sys) => {
    const content = pattern(200_000);
    const fd = await sys.create('f');
    for (let end = content.length; end > 0; end -= 20_000) {
      await sys.pwrite(fd, content.subarray(end - 20_000, end), end - 20_000);
    }
    await sys.close(fd);
    sameBytes(await sys.bytes('f'), content);
  },
  'writes that overlap keep what came last': async (sys) => {
    const fd = await sys.create('f');
    await sys.pwrite(fd, 'aaaaaaaaaa', 0);
    await sys.pwrite(fd, 'bbbb', 3);
    await sys.pwrite(fd, 'cc', 6);
    await sys.close(fd);
    same(await sys.text('f'), 'aaabbbccaa');
  },
  'two handles write into one file, each its part': async (sys) => {
    await sys.put('f', '0123456789');
    const [a, b] = [await sys.open('f', O.RDWR), await sys.open('f', O.RDWR)];
    await sys.pwrite(a, 'AA', 0);
    await sys.pwrite(b, 'BB', 8);
    same((await sys.pread(a, 20, 0)).toString(), 'AA234567BB');
    await sys.close(a);
    same(await sys.text('f'), 'AA234567BB');
    await sys.close(b);
    same(await sys.text('f'), 'AA234567BB');
  },
  'a handle for reading sees what another writes': async (sys) => {
    await sys.put('f', 'before');
    const reader = await sys.open('f', O.RDONLY);
    same((await sys.pread(reader, 100, 0)).toString(), 'before');
    await sys.with('f', O.WRONLY, async (fd) => {
      await sys.pwrite(fd, 'after!', 0);
      same((await sys.pread(reader, 100, 0)).toString(), 'after!');
    });
    same((await sys.pread(reader, 100, 0)).toString(), 'after!');
    await sys.close(reader);
  },
  'a reader goes on behind a writer that appends': async (sys) => {
    const writer = await sys.open('f', O.WRONLY | O.CREAT | O.APPEND);
    const reader = await sys.open('f', O.RDONLY);
    for (const line of ['one\n', 'two\n', 'three\n']) {
      await sys.write(writer, line);
      same((await sys.read(reader, 100)).toString(), line);
      same((await sys.read(reader, 100)).length, 0);
    }
    await sys.close(writer);
    await sys.close(reader);
  },
  'a write of eight megabytes is read back whole': async (sys) => {
    const content = pattern(8 * MiB);
    await sys.put('f', content);
    same((await sys.stat('f')).size, content.length);
    sameBytes(await sys.bytes('f'), content);
  },
  'writes of odd sizes across pages and blocks are read back': async (sys) => {
    const content = pattern(500_001);
    const fd = await sys.create('f');
    let at = 0;
    for (let size = 1; at < content.length; size = (size * 7 + 3) % 40_000) {
      const piece = content.subarray(at, at + size);
      await sys.write(fd, piece);
      at += piece.length;
    }
    await sys.close(fd);
    sameBytes(await sys.bytes('f'), content);
  },
  'writev and readv take pieces in their order': async (sys) => {
    const fd = await sys.create('f');
    const texts = ['one', 'two', 'three'].map((text) => Buffer.from(text));
    same((await sys.vectored('writev', fd, texts)).value, 11);
    await sys.seek(fd, 0, SEEK.SET);
    const room = [Buffer.alloc(5), Buffer.alloc(6)];
    const { value, pieces } = await sys.vectored('readv', fd, room);
    same([value, pieces.map(String)], [11, ['onetw', 'othree']]);
    await sys.close(fd);
  },
  'pwritev and preadv take pieces at an offset': async (sys) => {
    const fd = await sys.create('f');
    const texts = ['ab', 'cd'].map((text) => Buffer.from(text));
    same((await sys.vectored('pwritev', fd, texts, 3, 0)).value, 4);
    const { pieces } = await sys.vectored('preadv', fd, [Buffer.alloc(2), Buffer.alloc(3)], 2, 0);
    same(pieces.map(String), ['\0a', 'bcd']);
    await sys.close(fd);
  },
  'pwritev2 with RWF_APPEND appends': async (sys) => {
    await sys.put('f', 'abc');
    await sys.with('f', O.WRONLY, async (fd) => {
      await sys.vectored('pwritev2', fd, [Buffer.from('def')], 0, 0, 0x10);
    });
    same(await sys.text('f'), 'abcdef');
  },
  'copy_file_range copies within the file system': async (sys) => {
    const content = pattern(400_000);
    await sys.put('a', content);
    const [from, to] = [await sys.open('a', O.RDONLY), await sys.create('b')];
    await sys.seek(from, 1000, SEEK.SET);
    let copied = 0;
    for (let some = 1; some > 0; copied += some) {
      some = await sys.call('copy_file_range', from, 0, to, 0, 1_000_000, 0);
    }
    same(copied, 399_000);
    await sys.close(from);
    await sys.close(to);
    sameBytes(await sys.bytes('b'), content.subarray(1000));
  },
  'copy_file_range copies into the middle of a file': async (sys) => {
    await sys.put('a', '0123456789');
    await sys.put('b', 'abcdefghij');
    const [from, to] = [await sys.open('a', O.RDONLY), await sys.open('b', O.RDWR)];
    await sys.seek(to, 4, SEEK.SET);
    same(await sys.call('copy_file_range', from, 0, to, 0, 3, 0), 3);
    await sys.close(from);
    await sys.close(to);
    same(await sys.text('b'), 'abcd012hij');
  },
  'sendfile copies from one file to another': async (sys) => {
    const content = pattern(100_000);
    await sys.put('a', content);
    const [from, to] = [await sys.open('a', O.RDONLY), await sys.create('b')];
    let sent = 0;
    for (let some = 1; some > 0; sent += some) {
      some = await sys.call('sendfile', to, from, 0, 1_000_000);
    }
    same(sent, 100_000);
    await sys.close(from);
    await sys.close(to);
    sameBytes(await sys.bytes('b'), content);
  },
  'a file of more than four gigabytes is written sparsely and cut again': async (sys) => {
    const fd = await sys.create('f');
    await sys.pwrite(fd, 'far', 5 * 1024 * MiB);
    same((await sys.fstat(fd)).size, 5 * 1024 * MiB + 3);
    same((await sys.pread(fd, 10, 5 * 1024 * MiB)).toString(), 'far');
    same((await sys.pread(fd, 3, 4 * 1024 * MiB)).toString(), '\0\0\0');
    await sys.ftruncate(fd, 10);
    await sys.close(fd);
    same((await sys.bytes('f')).length, 10);
  },
  'a write beyond the largest file is refused with EFBIG': async (sys) => {
    const fd = await sys.create('f');
    await refuses(['EFBIG', 'EINVAL'], sys.pwrite(fd, 'xy', LAST_OFFSET));
    same((await sys.fstat(fd)).size, 0);
    await sys.close(fd);
  },
  'a negative offset is refused with EINVAL': async (sys) => {
    const fd = await sys.create('f');
    await refuses('EINVAL', sys.pread(fd, 1, -1));
    await refuses('EINVAL', sys.pwrite(fd, 'x', -1));
    await refuses('EINVAL', sys.seek(fd, -1, SEEK.SET));
    await sys.close(fd);
  },
  'lseek counts from the start, the place and the end': async (sys) => {
    await sys.put('f', '0123456789');
    await sys.with('f', O.RDONLY, async (fd) => {
      same(await sys.seek(fd, 4, SEEK.SET), 4);
      same(await sys.seek(fd, 2, SEEK.CUR), 6);
      same(await sys.seek(fd, -3, SEEK.END), 7);
      same((await sys.read(fd, 10)).toString(), '789');
      await refuses('EINVAL', sys.seek(fd, -11, SEEK.END));
      await refuses('EINVAL', sys.seek(fd, 0, 99));
    });
  },
  'lseek to the end counts what is written and not closed': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.with('f', O.RDONLY, async (other) => same(await sys.seek(other, 0, SEEK.END), 7));
    await sys.close(fd);
  },
  'lseek of a pipe is refused with ESPIPE': async (sys) => {
    await sys.mknod('p', 0o010644);
    await sys.with('p', O.RDWR | O.NONBLOCK, async (fd) => {
      await refuses('ESPIPE', sys.seek(fd, 0, SEEK.CUR));
    });
  },
  'SEEK_DATA and SEEK_HOLE find data, and the hole at the end': async (sys) => {
    await sys.put('f', pattern(10_000));
    await sys.with('f', O.RDONLY, async (fd) => {
      same(await sys.seek(fd, 0, SEEK.DATA), 0);
      same(await sys.seek(fd, 0, SEEK.HOLE), 10_000);
      same(await sys.seek(fd, 5000, SEEK.DATA), 5000);
    });
  },
  'SEEK_DATA and SEEK_HOLE beyond the end are refused with ENXIO': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      await refuses('ENXIO', sys.seek(fd, 7, SEEK.DATA));
      await refuses('ENXIO', sys.seek(fd, 8, SEEK.HOLE));
    });
  },
  'no SEEK_HOLE is before data that was written far out': async (sys) => {
    const fd = await sys.create('f');
    await sys.pwrite(fd, 'end', MiB);
    const data = await sys.seek(fd, 0, SEEK.DATA);
    holds(data <= MiB, 'SEEK_DATA passes no data');
    same(await sys.seek(fd, MiB, SEEK.HOLE), MiB + 3);
    await sys.close(fd);
  },
  'dup shares offset and file': async (sys) => {
    const fd = await sys.create('f');
    const copy = await sys.call('dup', fd);
    await sys.write(fd, 'abc');
    await sys.write(copy, 'def');
    same(await sys.seek(fd, 0, SEEK.CUR), 6);
    await sys.close(fd);
    await sys.write(copy, 'ghi');
    await sys.close(copy);
    same(await sys.text('f'), 'abcdefghi');
  },
  'each close of a duplicate ends well, and what is written between is kept': async (sys) => {
    const fd = await sys.create('f');
    const copies = [await sys.call('dup', fd), await sys.call('dup', fd)];
    for (const [at, copy] of copies.entries()) {
      await sys.write(copy, `${at} `);
      await sys.close(copy);
      same((await sys.stat('f')).size, 2 * at + 2);
    }
    await sys.write(fd, 'end');
    await sys.close(fd);
    same(await sys.text('f'), '0 1 end');
  },
  'readahead and fadvise of a file are taken': async (sys) => {
    await sys.put('f', pattern(300_000));
    await sys.with('f', O.RDONLY, async (fd) => {
      for (const advice of [0, 1, 2, 3, 4, 5]) await sys.call('fadvise64', fd, 0, 0, advice);
      sameBytes(await sys.pread(fd, 300_000, 0), pattern(300_000));
      await refuses('EINVAL', sys.call('fadvise64', fd, 0, 0, 99));
    });
  },
  'O_DIRECT reads and writes whole blocks': async (sys) => {
    const content = pattern(8192);
    const address = await sys.call('mmap', 0, 8192, 3, 0x22, -1, 0);
    await sys.poke(address, content);
    const fd = await sys.open('f', O.RDWR | O.CREAT | O.DIRECT);
    same(await sys.call('pwrite64', fd, address, 8192, 4096), 8192);
    await sys.poke(address, Buffer.alloc(8192));
    same(await sys.call('pread64', fd, address, 8192, 4096), 8192);
    sameBytes(await sys.peek(address, 8192), content);
    await sys.close(fd);
    sameBytes(await sys.bytes('f'), Buffer.concat([Buffer.alloc(4096), content]));
  },
  'O_DIRECT sees what a buffered handle wrote, and the other way': async (sys) => {
    const address = await sys.call('mmap', 0, 4096, 3, 0x22, -1, 0);
    await sys.put('f', pattern(4096, 1));
    const direct = await sys.open('f', O.RDWR | O.DIRECT);
    const buffered = await sys.open('f', O.RDWR);
    await sys.pwrite(buffered, pattern(4096, 2), 0);
    await sys.call('pread64', direct, address, 4096, 0);
    sameBytes(await sys.peek(address, 4096), pattern(4096, 2));
    await sys.poke(address, pattern(4096, 3));
    await sys.call('pwrite64', direct, address, 4096, 0);
    sameBytes(await sys.pread(buffered, 4096, 0), pattern(4096, 3));
    await sys.close(direct);
    await sys.close(buffered);
  },
  'bytes of every value are kept': async (sys) => {
    const content = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    await sys.put('f', content);
    sameBytes(await sys.bytes('f'), content);
  },
};
