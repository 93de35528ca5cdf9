/** mmap(2) of files, and how mappings and calls see each other. */
import { type Checks, pattern, refuses, same, sameBytes } from '../check.ts';
import { MAP, MS, O, PROT } from '../flags.ts';
import type { SystemCalls } from '../system-calls.ts';

const PAGE = 4096;
const READ_WRITE = PROT.READ | PROT.WRITE;

async function map(
  sys: SystemCalls,
  fd: number,
  length: number,
  protection: number = READ_WRITE,
  flags: number = MAP.SHARED,
  offset = 0,
): Promise<number> {
  return await sys.call('mmap', 0, length, protection, flags, fd, offset);
}

export const mappingChecks: Checks = {
  'a mapping shows the file': async (sys) => {
    const content = pattern(3 * PAGE);
    await sys.put('f', content);
    await sys.with('f', O.RDONLY, async (fd) => {
      const address = await map(sys, fd, content.length, PROT.READ);
      sameBytes(await sys.peek(address, content.length), content);
    });
  },
  'a private mapping shows the file, and keeps its changes to itself': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      const address = await map(sys, fd, 7, READ_WRITE, MAP.PRIVATE);
      await sys.poke(address, 'C');
      same((await sys.peek(address, 7)).toString(), 'Content');
    });
    same(await sys.text('f'), 'content');
  },
  'a mapping from an offset shows the file from there': async (sys) => {
    const content = pattern(4 * PAGE);
    await sys.put('f', content);
    await sys.with('f', O.RDONLY, async (fd) => {
      const address = await map(sys, fd, PAGE, PROT.READ, MAP.SHARED, 2 * PAGE);
      sameBytes(await sys.peek(address, PAGE), content.subarray(2 * PAGE, 3 * PAGE));
    });
  },
  'a mapping stays when the descriptor is closed': async (sys) => {
    await sys.put('f', 'content');
    const fd = await sys.open('f', O.RDONLY);
    const address = await map(sys, fd, 7, PROT.READ);
    await sys.close(fd);
    same((await sys.peek(address, 7)).toString(), 'content');
  },
  'the rest of the last page is zeros': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      const address = await map(sys, fd, PAGE, PROT.READ);
      sameBytes((await sys.peek(address, PAGE)).subarray(7), Buffer.alloc(PAGE - 7));
    });
  },
  'a page beyond the end of the file is a bus error': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      const address = await map(sys, fd, 2 * PAGE, PROT.READ);
      await refuses('SIGBUS', sys.peek(address + PAGE, 1));
    });
  },
  'msync writes a change of a mapping to the file': async (sys) => {
    await sys.put('f', pattern(2 * PAGE));
    await sys.with('f', O.RDWR, async (fd) => {
      const address = await map(sys, fd, 2 * PAGE);
      await sys.poke(address + PAGE, 'changed');
      await sys.call('msync', address, 2 * PAGE, MS.SYNC);
    });
    const expected = pattern(2 * PAGE);
    expected.write('changed', PAGE);
    sameBytes(await sys.bytes('f'), expected);
  },
  'a change of a mapping is seen by read at once': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDWR, async (fd) => {
      const address = await map(sys, fd, 7);
      await sys.poke(address, 'C');
      same((await sys.pread(fd, 7, 0)).toString(), 'Content');
    });
    same(await sys.text('f'), 'Content');
  },
  'a write is seen by a mapping at once': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDWR, async (fd) => {
      const address = await map(sys, fd, 7, PROT.READ);
      same((await sys.peek(address, 7)).toString(), 'content');
      await sys.pwrite(fd, 'C', 0);
      same((await sys.peek(address, 7)).toString(), 'Content');
    });
  },
  'a change of a mapping is seen by a mapping of another process': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [fd, otherFd] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    const [mine, theirs] = [await map(sys, fd, 7), await map(other, otherFd, 7)];
    await sys.poke(mine, 'C');
    same((await other.peek(theirs, 7)).toString(), 'Content');
    await other.poke(theirs + 6, 'T');
    same((await sys.peek(mine, 7)).toString(), 'ContenT');
    await sys.close(fd);
    await other.close(otherFd);
  },
  'a change of a mapping after close is kept, once it is unmapped': async (sys) => {
    await sys.put('f', 'content');
    const fd = await sys.open('f', O.RDWR);
    const address = await map(sys, fd, 7);
    await sys.close(fd);
    await sys.poke(address, 'C');
    await sys.call('msync', address, 7, MS.SYNC);
    await sys.call('munmap', address, 7);
    same(await sys.text('f'), 'Content');
  },
  'a change of a mapping without msync is kept': async (sys) => {
    await sys.put('f', pattern(PAGE));
    const fd = await sys.open('f', O.RDWR);
    const address = await map(sys, fd, PAGE);
    await sys.poke(address + 100, 'changed');
    await sys.call('munmap', address, PAGE);
    await sys.close(fd);
    const expected = pattern(PAGE);
    expected.write('changed', 100);
    sameBytes(await sys.bytes('f'), expected);
  },
  'a mapping of a process that was killed is kept': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const fd = await other.open('f', O.RDWR);
    const address = await map(other, fd, 7);
    await other.poke(address, 'C');
    await other.kill();
    same(await sys.text('f'), 'Content');
  },
  'a new file is grown and filled through a mapping': async (sys) => {
    const content = pattern(5 * PAGE);
    const fd = await sys.create('f');
    await sys.ftruncate(fd, content.length);
    const address = await map(sys, fd, content.length);
    await sys.poke(address, content);
    await sys.call('msync', address, content.length, MS.SYNC);
    await sys.call('munmap', address, content.length);
    await sys.close(fd);
    sameBytes(await sys.bytes('f'), content);
  },
  'a mapping does not make the file longer': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDWR, async (fd) => {
      const address = await map(sys, fd, PAGE);
      await sys.poke(address + 100, 'beyond the end');
      await sys.call('msync', address, PAGE, MS.SYNC);
    });
    same(await sys.text('f'), 'content');
  },
  'a file is cut below a mapping, and reading there is a bus error': async (sys) => {
    await sys.put('f', pattern(2 * PAGE));
    await sys.with('f', O.RDWR, async (fd) => {
      const address = await map(sys, fd, 2 * PAGE, PROT.READ);
      await sys.peek(address + PAGE, 1);
      await sys.ftruncate(fd, 100);
      await refuses('SIGBUS', sys.peek(address + PAGE, 1));
      sameBytes(await sys.peek(address, 100), pattern(2 * PAGE).subarray(0, 100));
    });
  },
  'a mapping sees what another handle appends': async (sys) => {
    await sys.put('f', pattern(100));
    await sys.with('f', O.RDONLY, async (fd) => {
      const address = await map(sys, fd, PAGE, PROT.READ);
      await sys.peek(address, 100);
      await sys.with('f', O.WRONLY | O.APPEND, async (writer) => await sys.write(writer, 'more'));
      same((await sys.peek(address + 100, 5)).toString(), 'more\0');
    });
  },
  'a mapping for writing of a handle for reading is refused with EACCES': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => await refuses('EACCES', map(sys, fd, 7)));
  },
  'a mapping of a handle for writing alone is refused with EACCES': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.WRONLY, async (fd) => {
      await refuses('EACCES', map(sys, fd, 7, PROT.READ));
    });
  },
  'a mapping of a directory is refused with ENODEV': async (sys) => {
    await sys.mkdir('d');
    await sys.with(
      'd',
      O.RDONLY,
      async (fd) => await refuses('ENODEV', map(sys, fd, 7, PROT.READ)),
    );
  },
  'a mapping of no bytes, or from an odd offset, is refused with EINVAL': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      await refuses('EINVAL', map(sys, fd, 0, PROT.READ));
      await refuses('EINVAL', map(sys, fd, 7, PROT.READ, MAP.SHARED, 100));
    });
  },
  'msync of what is not mapped is refused with ENOMEM': async (sys) => {
    await sys.put('f', pattern(PAGE));
    await sys.with('f', O.RDWR, async (fd) => {
      const address = await map(sys, fd, PAGE);
      await sys.call('munmap', address, PAGE);
      await refuses('ENOMEM', sys.call('msync', address, PAGE, MS.SYNC));
    });
  },
  'a mapping changes mtime at the latest with msync': async (sys) => {
    await sys.put('f', pattern(PAGE));
    const before = await sys.stat('f');
    await sys.tick();
    await sys.with('f', O.RDWR, async (fd) => {
      const address = await map(sys, fd, PAGE);
      await sys.poke(address, 'changed');
      await sys.call('msync', address, PAGE, MS.SYNC);
      same((await sys.fstat(fd)).mtime > before.mtime, true);
      await sys.call('munmap', address, PAGE);
    });
    same((await sys.stat('f')).mtime > before.mtime, true);
  },
  'a program that is on the mount can be run': async (sys, place) => {
    await place.run('cp', '/bin/true', 'program');
    await place.run('./program');
    same((await sys.stat('program')).type, 'file');
  },
};
