/** Directories: making, removing and listing them. */
import { type Checks, holds, refuses, same } from '../check.ts';
import { AT, O, SEEK } from '../flags.ts';
import { namesOf } from '../system-calls.ts';

export const directoryChecks: Checks = {
  'mkdir makes an empty directory of the mode that was asked for': async (sys) => {
    await sys.mkdir('d', 0o750);
    const { type, mode } = await sys.stat('d');
    same([type, mode, await sys.names('d')], ['directory', 0o750, []]);
  },
  'umask takes bits from the mode of a new directory': async (sys) => {
    await sys.call('umask', 0o077);
    await sys.mkdir('d', 0o777);
    same((await sys.stat('d')).mode, 0o700);
  },
  'mkdir of a name that is there is refused with EEXIST': async (sys) => {
    await sys.mkdir('d');
    await sys.put('f', '');
    await refuses('EEXIST', sys.mkdir('d'));
    await refuses('EEXIST', sys.mkdir('f'));
    await refuses('EEXIST', sys.mkdir('.'));
    await refuses('EEXIST', sys.mkdir('..'));
  },
  'mkdir in a missing directory is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.mkdir('d/e'));
  },
  'mkdir below a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await refuses('ENOTDIR', sys.mkdir('f/d'));
  },
  'mkdir takes a slash at the end': async (sys) => {
    await sys.mkdir('d/');
    same(await sys.names('.'), ['d']);
  },
  'rmdir removes an empty directory': async (sys) => {
    await sys.mkdir('d');
    await sys.rmdir('d');
    await refuses('ENOENT', sys.stat('d'));
    same(await sys.names('.'), []);
  },
  'rmdir of a directory that holds a file is refused with ENOTEMPTY': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', '');
    await refuses(['ENOTEMPTY', 'EEXIST'], sys.rmdir('d'));
    same(await sys.names('d'), ['f']);
  },
  'rmdir of a directory that holds a directory is refused with ENOTEMPTY': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('d/e');
    await refuses(['ENOTEMPTY', 'EEXIST'], sys.rmdir('d'));
  },
  'rmdir of a directory with a file that is being written is refused': async (sys) => {
    await sys.mkdir('d');
    const fd = await sys.create('d/f');
    await refuses(['ENOTEMPTY', 'EEXIST'], sys.rmdir('d'));
    await sys.close(fd);
    same(await sys.names('d'), ['f']);
  },
  'rmdir of a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await refuses('ENOTDIR', sys.rmdir('f'));
  },
  'rmdir of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.rmdir('d'));
  },
  'rmdir of . is refused with EINVAL, and of .. with ENOTEMPTY': async (sys) => {
    await sys.mkdir('d');
    await refuses('EINVAL', sys.rmdir('d/.'));
    await refuses(['ENOTEMPTY', 'EBUSY', 'EINVAL', 'EEXIST'], sys.rmdir('d/..'));
  },
  'a directory is empty again when its files are gone': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', '');
    await sys.unlink('d/f');
    same(await sys.names('d'), []);
    await sys.rmdir('d');
    await sys.mkdir('d');
    same(await sys.names('d'), []);
  },
  'a directory stays when its last file was moved out': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', '');
    await sys.rename('d/f', 'f');
    same([(await sys.stat('d')).type, await sys.names('d')], ['directory', []]);
  },
  'unlink removes a file': async (sys) => {
    await sys.put('f', 'content');
    await sys.unlink('f');
    await refuses('ENOENT', sys.stat('f'));
    await refuses('ENOENT', sys.open('f', O.RDONLY));
    same(await sys.names('.'), []);
  },
  'unlink of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.unlink('f'));
  },
  'unlink of a directory is refused with EISDIR': async (sys) => {
    await sys.mkdir('d');
    // POSIX says EPERM, Linux EISDIR.
    await refuses('EISDIR', sys.unlink('d'));
  },
  'unlink through a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await refuses('ENOTDIR', sys.unlink('f/g'));
    await refuses('ENOTDIR', sys.unlink('f/'));
  },
  'a listing has . and .., with the inode numbers of both': async (sys) => {
    await sys.mkdir('d');
    const entries = await sys.entries('d');
    same(entries.map(({ name }) => name).sort(), ['.', '..']);
    const own = entries.find(({ name }) => name === '.');
    const parent = entries.find(({ name }) => name === '..');
    same(own?.ino, (await sys.stat('d')).ino, '.');
    same(parent?.ino, (await sys.stat('.')).ino, '..');
  },
  'a listing has the inode number and type of each entry': async (sys) => {
    await sys.put('f', '');
    await sys.mkdir('d');
    for (const { name, ino, type } of await sys.entries('.')) {
      if (name.startsWith('.')) continue;
      const stat = await sys.stat(name);
      same([name, ino, type], [name, stat.ino, stat.type]);
    }
  },
  'a listing of hundreds of names has each once': async (sys) => {
    const made: string[] = [];
    for (let at = 0; at < 300; at += 1) made.push(`name-${at}`);
    for (const name of made) await sys.mkdir(name);
    same(await sys.names('.'), made.toSorted());
  },
  'a listing in small pieces is the same as in one': async (sys) => {
    for (let at = 0; at < 60; at += 1) await sys.put(`file-with-a-name-${at}`, '');
    const whole = await sys.names('.');
    await sys.with('.', O.DIRECTORY, async (fd) => {
      const found: string[] = [];
      for (;;) {
        const some = await sys.dirents(fd, 100);
        if (some.length === 0) break;
        found.push(...some.map(({ name }) => name));
      }
      same(found.filter((name) => !name.startsWith('.')).sort(), whole);
    });
  },
  'seekdir goes back to a place that telldir gave': async (sys) => {
    for (let at = 0; at < 40; at += 1) await sys.put(`f${at}`, '');
    await sys.with('.', O.DIRECTORY, async (fd) => {
      const all = await sys.rest(fd);
      for (const at of [0, 1, 2, 20, all.length - 2]) {
        const place = all[at]?.next ?? 0n;
        await sys.seek(fd, place, SEEK.SET);
        const names = (await sys.rest(fd)).map(({ name }) => name);
        same(
          names,
          all.slice(at + 1).map(({ name }) => name),
          `after entry ${at}`,
        );
      }
    });
  },
  'rewinddir shows what was made since': async (sys) => {
    await sys.put('a', '');
    await sys.with('.', O.DIRECTORY, async (fd) => {
      same(namesOf(await sys.rest(fd)), ['a']);
      await sys.put('b', '');
      await sys.unlink('a');
      await sys.seek(fd, 0, SEEK.SET);
      same(namesOf(await sys.rest(fd)), ['b']);
    });
  },
  'a listing goes on while its names are removed, and none is left out': async (sys) => {
    for (let at = 0; at < 200; at += 1) await sys.put(`file-number-${at}`, '');
    await sys.with('.', O.DIRECTORY, async (fd) => {
      for (;;) {
        const some = await sys.dirents(fd, 1024);
        if (some.length === 0) break;
        for (const { name } of some) if (!name.startsWith('.')) await sys.unlink(name);
      }
    });
    same(await sys.names('.'), []);
  },
  'a name that stays is listed once while others come and go': async (sys) => {
    for (let at = 0; at < 100; at += 1) await sys.put(`stays-${at}`, '');
    await sys.with('.', O.DIRECTORY, async (fd) => {
      const seen: string[] = [];
      for (let round = 0; ; round += 1) {
        const some = await sys.dirents(fd, 512);
        if (some.length === 0) break;
        seen.push(...some.map(({ name }) => name));
        await sys.put(`new-${round}`, '');
        if (round > 0) await sys.unlink(`new-${round - 1}`);
        holds(round < 1000, 'the listing ends');
      }
      same(new Set(seen).size, seen.length);
      same(seen.filter((name) => name.startsWith('stays-')).length, 100);
    });
  },
  'a new file is in the listing at once, before it is closed': async (sys, place) => {
    const other = await place.another();
    const fd = await sys.create('f');
    same([await sys.names('.'), await other.names('.')], [['f'], ['f']]);
    await sys.close(fd);
  },
  'a directory is found through many levels': async (sys) => {
    let path = 'd';
    for (let level = 0; level < 40; level += 1) {
      await sys.mkdir(path);
      path += '/d';
    }
    await sys.put(path, 'deep');
    same(await sys.text(path), 'deep');
  },
  '. and .. in paths lead where they should': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('d/e');
    await sys.put('d/f', 'content');
    same(await sys.text('./d/./e/../f'), 'content');
    same(await sys.text('d//e/..//f'), 'content');
  },
  'a process can stand in a directory that is renamed': async (sys, place) => {
    const other = await place.another();
    await sys.mkdir('d');
    await sys.put('d/f', 'content');
    await other.call('chdir', 'd');
    await sys.rename('d', 'e');
    same(await other.text('f'), 'content');
    await other.put('g', 'made here');
    same(await sys.text('e/g'), 'made here');
  },
  'rm -r removes a tree': async (sys, place) => {
    await place.run('mkdir', '-p', 'd/a/b/c', 'd/x');
    for (let at = 0; at < 30; at += 1) await sys.put(`d/a/b/f${at}`, 'content');
    await place.run('rm', '-r', 'd');
    same(await sys.names('.'), []);
  },
  'mkdir -p by two processes at once ends well': async (sys, place) => {
    const path = 'a/b/c/d/e';
    await Promise.all([place.run('mkdir', '-p', path), place.run('mkdir', '-p', path)]);
    same((await sys.stat(path)).type, 'directory');
  },
  'getdents of a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await sys.with('f', O.RDONLY, async (fd) => await refuses('ENOTDIR', sys.dirents(fd)));
  },
  'a listing into too little room is refused with EINVAL': async (sys) => {
    await sys.put('a-name-that-is-not-short', '');
    await sys.with('.', O.DIRECTORY, async (fd) => await refuses('EINVAL', sys.dirents(fd, 8)));
  },
  'mkdirat and unlinkat take names relative to an open directory': async (sys) => {
    await sys.mkdir('d');
    await sys.with('d', O.DIRECTORY, async (dir) => {
      await sys.call('mkdirat', dir, 'e', 0o755);
      same(await sys.names('d'), ['e']);
      await sys.call('unlinkat', dir, 'e', AT.REMOVEDIR);
      same(await sys.names('d'), []);
    });
  },
  'chdir into a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await refuses('ENOTDIR', sys.call('chdir', 'f'));
    await refuses('ENOENT', sys.call('chdir', 'g'));
  },
};
