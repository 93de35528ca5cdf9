/** What a name may be. */
import { type Checks, refuses, same } from '../check.ts';
import { O } from '../flags.ts';

/** Written with escapes: editors and tools must not normalise them. */
const composed = '\u00e9';
const decomposed = 'e\u0301';

async function isKept(sys: Parameters<Checks[string]>[0], name: string): Promise<void> {
  await sys.put(name, name);
  same(await sys.names('.'), [name]);
  same(await sys.text(name), name);
  await sys.rename(name, 'other');
  await sys.rename('other', name);
  await sys.unlink(name);
  same(await sys.names('.'), []);
  await sys.mkdir(name);
  await sys.put(`${name}/f`, 'inside');
  same([await sys.names('.'), await sys.names(name)], [[name], ['f']]);
  await sys.unlink(`${name}/f`);
  await sys.rmdir(name);
}

export const nameChecks: Checks = {
  'a name of 255 bytes is a name': async (sys) => await isKept(sys, 'n'.repeat(255)),
  'a name of 255 bytes in letters of several bytes is a name': async (sys) =>
    await isKept(sys, '\u20ac'.repeat(85)),
  'a name of 256 bytes is refused with ENAMETOOLONG everywhere': async (sys) => {
    const name = 'n'.repeat(256);
    await sys.put('f', '');
    await refuses('ENAMETOOLONG', sys.create(name));
    await refuses('ENAMETOOLONG', sys.open(name, O.RDONLY));
    await refuses('ENAMETOOLONG', sys.stat(name));
    await refuses('ENAMETOOLONG', sys.mkdir(name));
    await refuses('ENAMETOOLONG', sys.rmdir(name));
    await refuses('ENAMETOOLONG', sys.unlink(name));
    await refuses('ENAMETOOLONG', sys.rename('f', name));
    await refuses('ENAMETOOLONG', sys.symlink('f', name));
    await refuses('ENAMETOOLONG', sys.truncate(name, 0));
    same(await sys.names('.'), ['f']);
  },
  'a path of 4096 bytes is refused with ENAMETOOLONG': async (sys) => {
    await refuses('ENAMETOOLONG', sys.stat('./'.repeat(2048)));
    await refuses('ENAMETOOLONG', sys.create(`${'./'.repeat(2048)}f`));
  },
  'a path of 4000 bytes of dots and slashes is followed': async (sys) => {
    await sys.put('f', 'content');
    same(await sys.text(`${'./'.repeat(2000)}f`), 'content');
  },
  'names with spaces, quotes and signs are kept': async (sys) => {
    for (const name of [
      ' ',
      ' a ',
      '"',
      "'",
      '\\',
      '*',
      '?',
      '<>&;|',
      '%20',
      '+',
      '#',
      '~',
      '-rf',
    ]) {
      await isKept(sys, name);
    }
  },
  'names with control characters are kept': async (sys) => {
    for (const name of ['\n', 'a\tb', '\u0001', '\u007f', 'a\rb']) await isKept(sys, name);
  },
  'names in any script are kept': async (sys) => {
    for (const name of ['\u00fc\u00df', '\u65e5\u672c', '\u{1f600}', '\u0639\u0631', '\ufffd']) {
      await isKept(sys, name);
    }
  },
  'composed and decomposed letters are two names': async (sys) => {
    await sys.put(composed, 'composed');
    await sys.put(decomposed, 'decomposed');
    same([await sys.text(composed), await sys.text(decomposed)], ['composed', 'decomposed']);
    same((await sys.names('.')).length, 2);
  },
  'small and capital letters are two names': async (sys) => {
    await sys.put('name', 'small');
    await sys.put('NAME', 'capital');
    same([await sys.text('name'), await sys.text('NAME')], ['small', 'capital']);
  },
  'names that begin with dots are kept': async (sys) => {
    for (const name of ['...', '.hidden', '..a', '.fuse_hidden0001', '.git'])
      await isKept(sys, name);
  },
  'names that end with a dot or a space are kept': async (sys) => {
    for (const name of ['a.', 'a..', 'a ']) await isKept(sys, name);
  },
  'a name that begins with another is another name': async (sys) => {
    await sys.put('a', 'a');
    await sys.mkdir('ab');
    await sys.put('a-b', 'a-b');
    await sys.put('ab.c', 'ab.c');
    same(await sys.names('.'), ['a', 'a-b', 'ab', 'ab.c']);
    await sys.unlink('a');
    await sys.rmdir('ab');
    same(await sys.names('.'), ['a-b', 'ab.c']);
  },
  'a name that is not UTF-8 is kept': async (sys) => {
    const name = Buffer.from([0x61, 0xff, 0xfe]);
    await sys.put(name, 'content');
    same(await sys.text(name), 'content');
    same((await sys.names('.')).length, 1);
  },
  'a directory is made where a file was, and a file where a directory was': async (sys) => {
    await sys.put('n', '');
    await sys.unlink('n');
    await sys.mkdir('n');
    await sys.put('n/f', '');
    await sys.unlink('n/f');
    await sys.rmdir('n');
    await sys.put('n', 'file again');
    same(await sys.text('n'), 'file again');
  },
  'a path with nested names of over 1,000 bytes together is kept': async (sys) => {
    const parts = Array.from({ length: 5 }, () => 'd'.repeat(199));
    for (let at = 1; at <= parts.length; at += 1) await sys.mkdir(parts.slice(0, at).join('/'));
    const file = `${parts.join('/')}/${'f'.repeat(200)}`;
    await sys.put(file, 'content');
    same(await sys.text(file), 'content');
  },
};
