/** Symbolic links. */
import { type Checks, refuses, same } from '../check.ts';
import { AT, O } from '../flags.ts';

export const symlinkChecks: Checks = {
  'symlink makes a link that leads to a file': async (sys) => {
    await sys.put('f', 'content');
    await sys.symlink('f', 'l');
    same([await sys.text('l'), await sys.readlink('l')], ['content', 'f']);
  },
  'lstat shows the link and its length, stat what it leads to': async (sys) => {
    await sys.put('f', 'content');
    await sys.symlink('./f', 'l');
    const [link, file] = [await sys.stat('l'), await sys.follow('l')];
    same([link.type, link.size, link.mode], ['symlink', 3, 0o777]);
    same([file.type, file.size], ['file', 7]);
    same(file.ino, (await sys.stat('f')).ino);
  },
  'a listing shows a link as one': async (sys) => {
    await sys.symlink('nowhere', 'l');
    same((await sys.entries('.')).find(({ name }) => name === 'l')?.type, 'symlink');
  },
  'a link leads to a directory': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', 'content');
    await sys.symlink('d', 'l');
    same([await sys.text('l/f'), await sys.names('l/')], ['content', ['f']]);
  },
  'an absolute link leads there': async (sys, { folder }) => {
    await sys.put('f', 'content');
    await sys.symlink(`${folder}/f`, 'l');
    same([await sys.text('l'), await sys.readlink('l')], ['content', `${folder}/f`]);
  },
  'a link is relative to its own directory': async (sys) => {
    await sys.mkdir('d');
    await sys.put('f', 'content');
    await sys.symlink('../f', 'd/l');
    same(await sys.text('d/l'), 'content');
  },
  'a dangling link is there, and leads to ENOENT': async (sys) => {
    await sys.symlink('nowhere', 'l');
    same((await sys.stat('l')).type, 'symlink');
    await refuses('ENOENT', sys.follow('l'));
    await refuses('ENOENT', sys.open('l', O.RDONLY));
  },
  'O_CREAT through a dangling link makes what it leads to': async (sys) => {
    await sys.symlink('f', 'l');
    await sys.put('l', 'content');
    same([await sys.names('.'), await sys.text('f')], [['f', 'l'], 'content']);
  },
  'O_EXCL refuses a dangling link with EEXIST': async (sys) => {
    await sys.symlink('nowhere', 'l');
    await refuses('EEXIST', sys.create('l'));
  },
  'a loop of links is refused with ELOOP': async (sys) => {
    await sys.symlink('b', 'a');
    await sys.symlink('a', 'b');
    await sys.symlink('self', 'self');
    await refuses('ELOOP', sys.open('a', O.RDONLY));
    await refuses('ELOOP', sys.follow('self'));
    same(await sys.readlink('a'), 'b');
  },
  'a chain of links is followed': async (sys) => {
    await sys.put('f0', 'content');
    for (let at = 0; at < 30; at += 1) await sys.symlink(`f${at}`, `f${at + 1}`);
    same(await sys.text('f30'), 'content');
  },
  'a chain of more than forty links is refused with ELOOP': async (sys) => {
    await sys.put('f0', 'content');
    for (let at = 0; at < 41; at += 1) await sys.symlink(`f${at}`, `f${at + 1}`);
    await refuses('ELOOP', sys.open('f41', O.RDONLY));
  },
  'O_NOFOLLOW refuses a link with ELOOP': async (sys) => {
    await sys.put('f', '');
    await sys.symlink('f', 'l');
    await refuses('ELOOP', sys.open('l', O.RDONLY | O.NOFOLLOW));
    await sys.close(await sys.open('f', O.RDONLY | O.NOFOLLOW));
  },
  'O_PATH with O_NOFOLLOW opens the link itself': async (sys) => {
    await sys.symlink('nowhere', 'l');
    await sys.with('l', O.PATH | O.NOFOLLOW, async (fd) => {
      same((await sys.fstat(fd)).type, 'symlink');
    });
  },
  'unlink removes the link and not what it leads to': async (sys) => {
    await sys.put('f', 'content');
    await sys.symlink('f', 'l');
    await sys.unlink('l');
    same([await sys.names('.'), await sys.text('f')], [['f'], 'content']);
  },
  'rmdir of a link to a directory is refused with ENOTDIR': async (sys) => {
    await sys.mkdir('d');
    await sys.symlink('d', 'l');
    await refuses('ENOTDIR', sys.rmdir('l'));
  },
  'rename moves the link itself': async (sys) => {
    await sys.symlink('nowhere', 'l');
    await sys.rename('l', 'm');
    same([await sys.names('.'), await sys.readlink('m')], [['m'], 'nowhere']);
  },
  'rename replaces a link, and not what it leads to': async (sys) => {
    await sys.put('f', 'old');
    await sys.put('n', 'new');
    await sys.symlink('f', 'l');
    await sys.rename('n', 'l');
    same(
      [(await sys.stat('l')).type, await sys.text('l'), await sys.text('f')],
      ['file', 'new', 'old'],
    );
  },
  'rename of a link over a file replaces it': async (sys) => {
    await sys.put('f', 'old');
    await sys.symlink('nowhere', 'l');
    await sys.rename('l', 'f');
    same([await sys.names('.'), await sys.readlink('f')], [['f'], 'nowhere']);
  },
  'symlink over a name that is there is refused with EEXIST': async (sys) => {
    await sys.put('f', 'content');
    await sys.symlink('nowhere', 'l');
    await refuses('EEXIST', sys.symlink('x', 'f'));
    await refuses('EEXIST', sys.symlink('x', 'l'));
    same(await sys.text('f'), 'content');
  },
  'symlink to an empty target is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.symlink('', 'l'));
  },
  'symlink in a missing directory is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.symlink('x', 'd/l'));
  },
  'a target of 1,000 bytes is kept': async (sys) => {
    const target = 'd/'.repeat(500);
    await sys.symlink(target, 'l');
    same([await sys.readlink('l'), (await sys.stat('l')).size], [target, 1000]);
  },
  'a target of 4,095 bytes is kept': async (sys) => {
    const target = `${'d/'.repeat(2047)}f`;
    await sys.symlink(target, 'l');
    same(await sys.readlink('l'), target);
  },
  'a target of 4,096 bytes is refused with ENAMETOOLONG': async (sys) => {
    await refuses('ENAMETOOLONG', sys.symlink('d/'.repeat(2048), 'l'));
  },
  'targets in any script, with spaces and lines, are kept': async (sys) => {
    for (const [at, target] of [
      '\u00fc \u65e5',
      ' a ',
      'a\nb',
      '\u{1f600}',
      'a%20b',
      "'",
    ].entries()) {
      await sys.symlink(target, `l${at}`);
      same(await sys.readlink(`l${at}`), target);
    }
  },
  'readlink cuts the target at the room it has': async (sys) => {
    await sys.symlink('0123456789', 'l');
    same(await sys.readlink('l', 4), '0123');
    await refuses('EINVAL', sys.readlink('l', 0));
  },
  'readlink of what is no link is refused with EINVAL': async (sys) => {
    await sys.put('f', '');
    await sys.mkdir('d');
    await refuses('EINVAL', sys.readlink('f'));
    await refuses('EINVAL', sys.readlink('d'));
    await refuses('ENOENT', sys.readlink('n'));
  },
  'chmod and truncate go through a link': async (sys) => {
    await sys.put('f', 'content');
    await sys.symlink('f', 'l');
    await sys.chmod('l', 0o600);
    await sys.truncate('l', 3);
    const { mode, size } = await sys.stat('f');
    same({ mode, size }, { mode: 0o600, size: 3 });
  },
  'lchown changes the owner of the link alone': async (sys) => {
    await sys.put('f', '');
    await sys.symlink('f', 'l');
    await sys.chown('l', 54_321, 54_322);
    const [link, file] = [await sys.stat('l'), await sys.stat('f')];
    same([link.uid, link.gid, file.uid], [54_321, 54_322, 0]);
  },
  'utimensat changes the times of the link alone': async (sys) => {
    await sys.put('f', '');
    const before = await sys.stat('f');
    await sys.symlink('f', 'l');
    await sys.utimens('l', 1_000_000_000n, 2_000_000_000n);
    same(
      [(await sys.stat('l')).mtime, (await sys.stat('f')).mtime],
      [2_000_000_000n, before.mtime],
    );
  },
  'a path through a link to a file is refused with ENOTDIR': async (sys) => {
    await sys.put('f', '');
    await sys.symlink('f', 'l');
    await refuses('ENOTDIR', sys.stat('l/x'));
    await refuses('ENOTDIR', sys.follow('l/'));
  },
  'a link can be made again once it was removed, with another target': async (sys) => {
    await sys.symlink('one', 'l');
    same(await sys.readlink('l'), 'one');
    await sys.unlink('l');
    await sys.symlink('two', 'l');
    same(await sys.readlink('l'), 'two');
  },
  'symlinkat and readlinkat take names relative to an open directory': async (sys) => {
    await sys.mkdir('d');
    await sys.with('d', O.DIRECTORY, async (dir) => await sys.call('symlinkat', 'x', dir, 'l'));
    same(await sys.readlink('d/l'), 'x');
    await refuses('ENOENT', sys.call('faccessat', AT.FDCWD, 'd/l', 0));
  },
};
