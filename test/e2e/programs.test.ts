/** Real programs on a real mount, each beside the same program on the local disk. */
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { canMount, isRoot } from '../fixtures/real-mount.ts';
import { killGroup, ProgramScene } from './program-scene.ts';

/** As many as an installation of packages has; a full one, 10,000, is asked for by hand. */
const TREE_FILES = Number(process.env['WIRE_TREE_FILES'] ?? 1000);
const TREE_FOLDERS = Math.ceil(TREE_FILES / 25);

const why = isRoot ? (canMount ? undefined : 'needs /dev/fuse') : 'needs root';
const suffix = why === undefined ? '' : ` (skipped: ${why})`;

/** A test of a program, which is skipped by name where it cannot be had. */
function itWith(
  packages: readonly string[],
  programs: readonly string[],
  name: string,
  test: () => Promise<void>,
): void {
  const has = why === undefined && haveDebian(packages, programs);
  it.skipIf(!has)(has ? name : `${name} (skipped: needs ${packages.join(', ')})`, test);
}

/** Files of many sizes, in folders, some of them of a mode of their own. */
const TREE = `
mkdir -p src/deep/er empty
for n in 1 2 3 4 5 6 7 8 9; do seq $((n * 997)) > src/numbers-$n; done
head -c 3000000 /dev/urandom | od -An -tx1 > big
printf 'no line end' > 'src/a name with spaces'
printf '#!/bin/sh\\necho ran\\n' > src/run; chmod 750 src/run
: > src/deep/er/nothing
chmod 600 src/numbers-1
touch -d '2001-02-03 04:05:06.789' src/numbers-2
`;

/** All that tools compare: kind, mode, size, time to the second, and name. */
const LISTING = `find . -type f -printf '%y %m %s %Ts %p\\n' | sort -k5`;

let at: ProgramScene;

describe.skipIf(why !== undefined)(`programs on a mount${suffix}`, () => {
  beforeAll(async () => {
    at = await ProgramScene.open();
    await at.folder('seed');
    await at.onDisk('seed', TREE);
  });
  afterAll(async () => {
    await at[Symbol.asyncDispose]();
  });

  itWith(
    ['git'],
    ['/usr/bin/git'],
    'git commits, merges, collects, checks and clones',
    async () => {
      await at.folder('git');
      const setUp = `git init -q -b main r; cd r; cp -r '${at.local}/seed/.' .; git add -A; git commit -qm first`;
      await at.onMount('git', setUp);
      await at.onMount(
        'git/r',
        `for n in 1 2 3 4 5; do seq $n 500 > src/changing; git add -A; git commit -qm "change $n"; done
       git checkout -qb side HEAD~2; echo side > side; git add side; git commit -qm side
       git checkout -q main; git merge -q -m merge side; git tag v1; git mv side moved; git commit -qm moved
       git stash list; git gc -q --prune=now; git fsck --strict --no-dangling`,
      );
      const log = await at.onMount('git/r', 'git log --format=%H%s');
      await at.remount();
      expect(await at.onMount('git/r', 'git fsck --strict && git log --format=%H%s')).toBe(log);
      expect(await at.onMount('git/r', 'git status --porcelain')).toBe('');
      await at.onDisk('git', `git clone -q '${at.mounted}/git/r' r && cd r && git fsck --strict`);
      expect(await at.onDisk('git/r', 'git log --format=%H%s')).toBe(log);
      await at.onMount(
        'git',
        'git clone -q r c && cd c && git fsck --strict && git log -1 --format=%s',
      );
      const files = `find . -type f -not -path './.git/*' -exec md5sum {} + | sort`;
      const original = await at.onDisk('git/r', files);
      expect(await at.onMount('git/c', files)).toBe(original);
      expect(await at.onMount('git/r', files)).toBe(original);
    },
  );

  itWith(
    ['sqlite3'],
    ['/usr/bin/sqlite3'],
    'sqlite keeps whole transactions when its writer is killed, also in the bucket',
    async () => {
      await at.folder('sqlite');
      const db = 'PRAGMA busy_timeout = 20000;';
      await at.onMount(
        'sqlite',
        `sqlite3 db '${db} PRAGMA journal_mode = DELETE; CREATE TABLE t (a INTEGER, b TEXT); CREATE INDEX i ON t (b);'`,
      );
      // Each transaction adds two rows that cancel each other.
      const transaction = `BEGIN; INSERT INTO t VALUES ($n, hex(randomblob(200))); INSERT INTO t VALUES (-$n, hex(randomblob(200))); COMMIT;`;
      const writer = at.start(
        'sqlite',
        `n=0; while n=$((n + 1)); do echo "${transaction}"; echo "SELECT 'committed';"; done | sqlite3 db`,
      );
      if (writer.stdout === null) throw new Error('no pipe');
      let committed = 0;
      for await (const line of createInterface({ input: writer.stdout })) {
        if (line === 'committed') committed += 1;
        if (committed === 12) break;
      }
      await killGroup(writer);
      const ask = `sqlite3 db '${db} PRAGMA integrity_check; SELECT total(a), count(*) % 2, count(*) >= ${2 * committed} FROM t;'`;
      const answer = 'ok\n0.0|0|1\n';
      expect((await at.onMount('sqlite', ask)).replace('20000\n', '')).toBe(answer);
      await at.remountElsewhere();
      expect((await at.onMount('sqlite', ask)).replace('20000\n', '')).toBe(answer);
      const other = `cp '${at.mounted}/sqlite/db' db`;
      expect((await at.onDisk('sqlite', `${other}; ${ask}`)).replace('20000\n', '')).toBe(answer);
    },
  );

  itWith(['tar'], ['/usr/bin/tar'], 'tar packs and unpacks, with modes and times', async () => {
    await at.folder('tar');
    await at.onMount(
      'tar',
      `tar -C '${at.local}' -cf seed.tar seed; tar -xf seed.tar; tar -df seed.tar`,
    );
    await at.onDisk('tar', `tar -C '${at.local}' -cf - seed | tar -xf -`);
    await at.onBoth('tar/seed', LISTING);
    await at.onDisk('tar', `cp '${at.mounted}/tar/seed.tar' . && tar -df seed.tar`);
    await at.onMount('tar', `tar -czf seed.tgz seed; rm -r seed; tar -xzf seed.tgz`);
    await at.remountElsewhere();
    await at.onDisk('tar', `cp '${at.mounted}/tar/seed.tgz' .`);
    await at.expectSame('tar');
  });

  itWith(
    ['rsync'],
    ['/usr/bin/rsync'],
    'rsync copies what changed, in place too, and nothing the second time',
    async () => {
      await at.folder('rsync');
      const from = `'${at.local}/rsync/from'`;
      await at.onDisk('rsync', `cp -a ../seed from`);
      const sync = (...flags: readonly string[]): string =>
        `rsync -ai ${flags.join(' ')} ${from}/ to/`;
      expect(await at.onMount('rsync', sync())).toContain('src/numbers-9');
      expect(await at.onMount('rsync', sync())).toBe('');
      await at.onDisk(
        'rsync/from',
        `printf X | dd of=big bs=1 seek=1500000 conv=notrunc status=none; echo more >> src/numbers-3`,
      );
      const second = await at.onMount('rsync', sync('--inplace', '--no-whole-file'));
      expect(second.trim().split('\n')).toHaveLength(2);
      expect(await at.onMount('rsync', sync('--inplace'))).toBe('');
      await at.onDisk('rsync/from', 'rm src/numbers-4; mv src/numbers-5 src/other');
      await at.onMount('rsync', sync('--delete'));
      await at.onDisk('rsync', 'cp -a from to; rm -r from');
      await at.onBoth('rsync/to', LISTING);
      await at.remountElsewhere();
      await at.expectSame('rsync');
      await at.onDisk(
        'rsync',
        `rsync -ac '${at.mounted}/rsync/to/' back/; diff -r to back; rm -r back`,
      );
    },
  );

  itWith(
    ['make', 'gcc'],
    ['/usr/bin/make', '/usr/bin/gcc'],
    'make builds what is older, with gcc',
    async () => {
      await at.folder('make');
      await at.onMount(
        'make',
        `printf 'int twice(int);\\nint main(void) { return twice(21) == 42 ? 0 : 1; }\\n' > main.c
       printf 'int twice(int n) { return 2 * n; }\\n' > twice.c
       printf 'program: main.o libtwice.a\\n\\tgcc -o $@ main.o -L. -ltwice\\nlibtwice.a: twice.o\\n\\tar rcs $@ $<\\n%%.o: %%.c\\n\\tgcc -g -c $<\\n' > Makefile
       make`,
      );
      expect(await at.onMount('make', './program && make -q && echo nothing to do')).toBe(
        'nothing to do\n',
      );
      // Newer than what was built from it, however coarse the clock of files is.
      await at.onMount('make', 'sleep 0.05; echo >> twice.c');
      const built = await at.onMount('make', 'make');
      expect(built).toContain('gcc -g -c twice.c');
      expect(built).not.toContain('main.c');
      expect(await at.onMount('make', 'make -q && ./program && echo fine')).toBe('fine\n');
      await at.remountElsewhere();
      expect(await at.onMount('make', 'strip -o stripped program && ./stripped && echo fine')).toBe(
        'fine\n',
      );
    },
  );

  it('what a tree is like is kept: after a remount, and on another machine with --posix', async () => {
    await at.folder('like');
    await at.onMount(
      'like',
      `cp -r '${at.local}/seed' seed; chmod 2750 seed; chmod 4711 seed/src/run; chmod 1777 seed/empty
       chown 1234:5678 seed/big seed/src; ln -s ../seed/src link; ln -s nowhere seed/dangling
       chown -h 1234:5678 link; mkfifo -m 640 pipe; mknod device c 1 3
       touch -d '2031-02-03 04:05:06.125' seed/src seed/big; touch -hd '2001-02-03 04:05:06.5' link`,
    );
    // Of a directory, its time only where it was set: each file made in it changes it.
    const look = `find . ! -name . -printf '%y %m %U:%G %s %l %p\\n' | sort -k6
      find . ! -type d -printf '%T@ %p\\n' | sort -k2; stat -c %Y seed/src; stat -c '%t:%T' device`;
    const before = await at.onMount('like', look);
    expect(before).toContain('l 777 1234:5678 11 ../seed/src ./link');
    expect(before).toContain('1927857906.1250000000 ./seed/big');
    await at.remount();
    expect(await at.onMount('like', look)).toBe(before);
    await at.remountElsewhere();
    expect(await at.onMount('like', look)).toBe(before);
  });

  it('cp -a copies a tree, with modes and times, and links', async () => {
    await at.folder('cp');
    const copy = `cp -a '${at.local}/seed' one; cp -a one two; ln -s two/src link; ln -s nowhere two/dangling`;
    await at.onMount('cp', copy);
    await at.onDisk('cp', copy);
    await at.onBoth('cp', LISTING);
    await at.onBoth('cp', `readlink link two/dangling; cat link/numbers-1 | md5sum; ls -d two/*/`);
    await at.onBoth('cp', 'rm -r one; ls');
    await at.remountElsewhere();
    await at.expectSame('cp');
  });

  it(`a tree of ${TREE_FILES} small files is installed, moved and removed`, async () => {
    await at.folder('tree');
    const install = `python_like() { mkdir -p "$1/pkg-$2"; n=0; while [ $n -lt 25 ]; do n=$((n + 1)); printf 'def f%d(): return %d\\n' $n $2 > "$1/pkg-$2/m$n.py"; done; }
      d=0; while [ $d -lt ${TREE_FOLDERS} ]; do d=$((d + 1)); python_like .staging $d; done
      mv .staging site-packages; find site-packages -type f | wc -l`;
    await at.onBoth('tree', install);
    await at.expectSame('tree');
    expect(at.keys('tree')).toHaveLength(TREE_FOLDERS * 25);
    await at.onBoth('tree', 'rm -r site-packages/pkg-1; ls site-packages | sort | head -3');
    await at.onMount('tree', 'rm -r site-packages');
    expect(at.keys('tree')).toEqual([]);
  });

  itWith(['vim'], ['/usr/bin/vim'], 'vim saves files, with and without a backup', async () => {
    await at.folder('vim');
    for (const settings of [
      'backup writebackup',
      'nobackup nowritebackup',
      'backupcopy=yes',
      'backupcopy=no',
    ]) {
      const edit = `printf 'one\\ntwo\\n' > f; chmod 640 f
        vim -Nesu NONE -c 'set ${settings}' -c '%s/two/three/' -c 'normal Gofour' -c wq f </dev/null
        cat f; stat -c '%a %s' f; ls -A`;
      expect(await at.onBoth('vim', edit)).toContain('one\nthree\nfour\n640 15\n');
    }
    await at.remountElsewhere();
    await at.expectSame('vim');
  });

  it('dd patches files in place and grows them', async () => {
    await at.folder('dd');
    await at.onBoth(
      'dd',
      `cp '${at.local}/seed/big' f
       printf PATCH | dd of=f bs=1 seek=2000001 conv=notrunc status=none
       seq 1000 | dd of=f bs=512 seek=9000 conv=notrunc,fsync status=none
       dd if='${at.local}/seed/big' of=f bs=64k skip=3 seek=1 count=2 conv=notrunc status=none
       dd if=/dev/null of=f bs=1 seek=8000000 status=none
       printf end | dd of=f oflag=append conv=notrunc status=none
       stat -c %s f; md5sum < f`,
    );
    await at.remountElsewhere();
    await at.expectSame('dd');
  });

  it('a log that many append to is followed by tail -f, and holds every line', async () => {
    await at.folder('log');
    await at.onMount('log', 'echo line 0 > f');
    const tail = at.start('log', 'exec tail -n +1 -f f');
    if (tail.stdout === null) throw new Error('no pipe');
    const lines = createInterface({ input: tail.stdout });
    const followed = (async () => {
      const seen: string[] = [];
      for await (const line of lines) {
        seen.push(line);
        if (seen.length === 41) break;
      }
      return seen;
    })();
    const append = 'n=0; while [ $n -lt 20 ]; do n=$((n + 1)); echo line $n of $1 >> f; done';
    const appender = (name: string): string => `set -- ${name}; ${append}`;
    await Promise.all([at.onMount('log', appender('a')), at.onMount('log', appender('b'))]);
    const seen = await followed;
    await killGroup(tail);
    expect(await at.onMount('log', 'cat f')).toBe(`${seen.join('\n')}\n`);
    expect(new Set(seen).size).toBe(41);
    await at.remountElsewhere();
    expect((await at.object('log/f')).toString()).toBe(`${seen.join('\n')}\n`);
  });

  itWith(
    ['zip', 'unzip'],
    ['/usr/bin/zip', '/usr/bin/unzip'],
    'zip packs, updates and unpacks',
    async () => {
      await at.folder('zip');
      await at.onMount(
        'zip',
        `cp -r '${at.local}/seed' seed; zip -qr a.zip seed; echo more >> seed/src/run; zip -qr a.zip seed
       unzip -tq a.zip; mkdir out; cd out; unzip -q ../a.zip; cd ..; diff -r seed out/seed`,
      );
      await at.remountElsewhere();
      await at.onDisk(
        'zip',
        `unzip -q '${at.mounted}/zip/a.zip'; diff -r seed '${at.mounted}/zip/seed'`,
      );
    },
  );

  itWith(
    ['python3'],
    ['/usr/bin/python3'],
    'python saves notebooks and shelves, and reads them back',
    async () => {
      await at.folder('python');
      const script = `/usr/bin/python3 - <<'END'
import json, mmap, os, pickle, shelve, shutil, tempfile, zipfile
for n in range(5):
    with tempfile.NamedTemporaryFile('w', dir='.', delete=False) as f:
        json.dump({'cells': list(range(n * 100))}, f); f.flush(); os.fsync(f.fileno())
    os.replace(f.name, 'notebook.ipynb')
print(len(json.load(open('notebook.ipynb'))['cells']))
with open('array', 'wb') as f: f.truncate(1 << 20)
with open('array', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
    m[5000:5005] = b'hello'; m.flush()
print(open('array', 'rb').read()[4998:5007])
with zipfile.ZipFile('z.zip', 'w') as z: z.writestr('a', 'b' * 1000)
with zipfile.ZipFile('z.zip', 'a') as z: z.writestr('c', 'd')
print(zipfile.ZipFile('z.zip').testzip(), zipfile.ZipFile('z.zip').namelist())
pickle.dump(list(range(1000)), open('p', 'wb')); print(sum(pickle.load(open('p', 'rb'))))
shutil.copytree('.', '../python-copy', dirs_exist_ok=True); print(sorted(os.listdir('../python-copy')))
shutil.rmtree('../python-copy'); print(os.path.exists('../python-copy'))
END`;
      await at.onBoth('python', script);
      await at.remountElsewhere();
      await at.onBoth('python', 'rm z.zip; md5sum *');
    },
  );
});
