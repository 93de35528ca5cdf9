/** fsync and its kin: that they end well, and lose nothing. */
import { type Checks, pattern, refuses, same, sameBytes } from '../check.ts';
import { O } from '../flags.ts';

export const syncChecks: Checks = {
  'fsync ends well, and the file goes on': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'one ');
    await sys.call('fsync', fd);
    await sys.write(fd, 'two');
    await sys.call('fsync', fd);
    await sys.close(fd);
    same(await sys.text('f'), 'one two');
  },
  'fdatasync ends well': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.call('fdatasync', fd);
    same((await sys.pread(fd, 100, 0)).toString(), 'content');
    await sys.close(fd);
  },
  'fsync of a handle for reading ends well': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => await sys.call('fsync', fd));
  },
  'fsync of a handle for reading takes what another has written': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.with('f', O.RDONLY, async (reader) => await sys.call('fsync', reader));
    await sys.close(fd);
    same(await sys.text('f'), 'content');
  },
  'fsync of a directory ends well': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', '');
    await sys.with('d', O.RDONLY, async (fd) => {
      await sys.call('fsync', fd);
      await sys.call('fdatasync', fd);
    });
  },
  'syncfs and sync end well': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.call('syncfs', fd);
    await sys.close(fd);
    same(await sys.text('f'), 'content');
  },
  'sync_file_range ends well': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, pattern(100_000));
    // SYNC_FILE_RANGE_WAIT_BEFORE | WRITE | WAIT_AFTER
    await sys.call('sync_file_range', fd, 0, 0, 7);
    await sys.close(fd);
    sameBytes(await sys.bytes('f'), pattern(100_000));
  },
  'O_SYNC and O_DSYNC write': async (sys) => {
    for (const flag of [O.SYNC, O.DSYNC]) {
      const fd = await sys.open('f', O.WRONLY | O.CREAT | O.TRUNC | flag);
      await sys.write(fd, 'one ');
      await sys.write(fd, 'two');
      await sys.close(fd);
      same(await sys.text('f'), 'one two');
    }
  },
  'fsync of a closed descriptor is refused with EBADF': async (sys) => {
    await refuses('EBADF', sys.call('fsync', 999));
    await refuses('EBADF', sys.call('fdatasync', 999));
    await refuses('EBADF', sys.call('syncfs', 999));
  },
  'fsync of a fifo is refused with EINVAL': async (sys) => {
    await sys.mknod('p', 0o010644);
    await sys.with('p', O.RDWR | O.NONBLOCK, async (fd) => {
      await refuses('EINVAL', sys.call('fsync', fd));
    });
  },
  'what a killed process has written is in the file': async (sys, place) => {
    const other = await place.another();
    const fd = await other.create('f');
    await other.write(fd, 'content');
    await other.kill();
    same(await sys.text('f'), 'content');
  },
  'a save of an editor: new file, fsync, rename, fsync of the directory': async (sys) => {
    await sys.put('f', 'old');
    const fd = await sys.create('.f.swp');
    await sys.write(fd, 'new content');
    await sys.call('fsync', fd);
    await sys.close(fd);
    await sys.rename('.f.swp', 'f');
    await sys.with('.', O.RDONLY, async (dir) => await sys.call('fsync', dir));
    same([await sys.names('.'), await sys.text('f')], [['f'], 'new content']);
  },
  'a database: two files, each changed and synced many times': async (sys) => {
    const data = pattern(20 * 4096);
    await sys.put('db', data);
    const db = await sys.open('db', O.RDWR);
    for (let round = 0; round < 10; round += 1) {
      const journal = await sys.create('db-journal');
      const page = (round * 7) % 20;
      await sys.write(journal, await sys.pread(db, 4096, page * 4096));
      await sys.call('fsync', journal);
      await sys.pwrite(db, pattern(4096, round + 5), page * 4096);
      pattern(4096, round + 5).copy(data, page * 4096);
      await sys.call('fsync', db);
      await sys.close(journal);
      await sys.unlink('db-journal');
    }
    await sys.close(db);
    sameBytes(await sys.bytes('db'), data);
    same(await sys.names('.'), ['db']);
  },
};
