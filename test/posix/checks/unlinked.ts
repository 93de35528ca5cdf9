/** Files whose name is gone while they are open. */
import { type Checks, pattern, refuses, same, sameBytes } from '../check.ts';
import { O } from '../flags.ts';
import { namesOf, outcome } from '../system-calls.ts';

export const unlinkedChecks: Checks = {
  'an unlinked file can be read through its handle': async (sys) => {
    await sys.put('f', 'content');
    const fd = await sys.open('f', O.RDONLY);
    await sys.unlink('f');
    same((await sys.read(fd, 100)).toString(), 'content');
    await sys.close(fd);
  },
  'an unlinked file of megabytes can be read to its end': async (sys) => {
    const content = pattern(3_000_000);
    await sys.put('f', content);
    const fd = await sys.open('f', O.RDONLY);
    await sys.pread(fd, 10, 0);
    await sys.unlink('f');
    sameBytes(await sys.pread(fd, 3_000_000, 0), content);
    await sys.close(fd);
  },
  'an unlinked file can be written and read again': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'before ');
    await sys.unlink('f');
    await sys.write(fd, 'after');
    same((await sys.pread(fd, 100, 0)).toString(), 'before after');
    await sys.close(fd);
    same(await sys.names('.'), []);
  },
  'an unlinked file that existed before can be changed': async (sys) => {
    await sys.put('f', 'content');
    const fd = await sys.open('f', O.RDWR);
    await sys.unlink('f');
    await sys.pwrite(fd, 'C', 0);
    same((await sys.pread(fd, 100, 0)).toString(), 'Content');
    await sys.close(fd);
    same(await sys.names('.'), []);
  },
  'an unlinked file counts no links': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.unlink('f');
    const { nlink, size } = await sys.fstat(fd);
    same({ nlink, size }, { nlink: 0, size: 7 });
    await sys.close(fd);
  },
  'an unlinked file can be truncated, synced and given other attributes': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.unlink('f');
    await sys.ftruncate(fd, 3);
    await sys.call('fsync', fd);
    await sys.call('fchmod', fd, 0o600);
    const { mode, size } = await sys.fstat(fd);
    same({ mode, size }, { mode: 0o600, size: 3 });
    await sys.close(fd);
    same(await sys.names('.'), []);
  },
  'a name that was unlinked is gone at once, for other processes too': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const fd = await sys.open('f', O.RDONLY);
    await sys.unlink('f');
    await refuses('ENOENT', other.stat('f'));
    await refuses('ENOENT', other.open('f', O.RDONLY));
    same(await other.names('.'), []);
    await sys.close(fd);
  },
  'a new file of the name is another than the unlinked one': async (sys) => {
    await sys.put('f', 'old');
    const old = await sys.open('f', O.RDWR);
    await sys.unlink('f');
    await sys.put('f', 'new');
    same((await sys.pread(old, 10, 0)).toString(), 'old');
    await sys.pwrite(old, 'X', 0);
    same(await sys.text('f'), 'new');
    await sys.close(old);
    same(await sys.text('f'), 'new');
  },
  'a new file of the name has another inode number while the old one is open': async (sys) => {
    await sys.put('f', 'old');
    const old = await sys.open('f', O.RDONLY);
    await sys.unlink('f');
    await sys.put('f', 'new');
    same((await sys.fstat(old)).ino === (await sys.stat('f')).ino, false);
    await sys.close(old);
  },
  'a directory of an unlinked, open file can be removed': async (sys) => {
    await sys.mkdir('d');
    const fd = await sys.open('d/f', O.RDWR | O.CREAT);
    await sys.write(fd, 'content');
    await sys.unlink('d/f');
    await sys.rmdir('d');
    same((await sys.pread(fd, 10, 0)).toString(), 'content');
    await sys.close(fd);
    same(await sys.names('.'), []);
  },
  'a file that another was renamed over can be read through its handle': async (sys) => {
    await sys.put('old', 'old content');
    await sys.put('new', 'new');
    const fd = await sys.open('old', O.RDONLY);
    await sys.rename('new', 'old');
    same((await sys.read(fd, 100)).toString(), 'old content');
    same((await sys.fstat(fd)).nlink, 0);
    await sys.close(fd);
    same(await sys.text('old'), 'new');
  },
  'a file that another was renamed over is written without harm to the new one': async (sys) => {
    await sys.put('old', 'old content');
    await sys.put('new', 'new');
    const fd = await sys.open('old', O.RDWR);
    await sys.rename('new', 'old');
    await sys.pwrite(fd, 'CHANGED', 0);
    same((await sys.pread(fd, 7, 0)).toString(), 'CHANGED');
    await sys.close(fd);
    same(await sys.text('old'), 'new');
  },
  'a mapping of an unlinked file stays readable': async (sys) => {
    await sys.put('f', pattern(8192));
    const fd = await sys.open('f', O.RDONLY);
    const address = await sys.call('mmap', 0, 8192, 1, 1, fd, 0);
    await sys.close(fd);
    await sys.unlink('f');
    sameBytes(await sys.peek(address, 8192), pattern(8192));
    await sys.call('munmap', address, 8192);
  },
  'two handles of an unlinked file see each other': async (sys) => {
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await sys.open('f', O.RDONLY)];
    await sys.unlink('f');
    await sys.pwrite(a, 'C', 0);
    same((await sys.pread(b, 100, 0)).toString(), 'Content');
    await sys.close(a);
    same((await sys.pread(b, 100, 0)).toString(), 'Content');
    await sys.close(b);
  },
  'a removed directory that is open lists nothing, or says ENOENT': async (sys) => {
    await sys.mkdir('d');
    const fd = await sys.open('d', O.RDONLY | O.DIRECTORY);
    await sys.rmdir('d');
    const left: string[] = [];
    const listed = await outcome(sys.rest(fd).then((entries) => left.push(...namesOf(entries))));
    same([left, listed === 'ENOENT' || listed === 'done'], [[], true]);
    await sys.close(fd);
  },
  'nothing can be made in a removed directory that is open': async (sys) => {
    await sys.mkdir('d');
    const fd = await sys.open('d', O.RDONLY | O.DIRECTORY);
    await sys.rmdir('d');
    await refuses('ENOENT', sys.call('openat', fd, 'f', O.WRONLY | O.CREAT, 0o644));
    await refuses('ENOENT', sys.call('mkdirat', fd, 'e', 0o755));
    await sys.close(fd);
  },
};
