/** Every operation of the protocol that a program can reach, on a real mount. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type MountShell, rootShell, userShell } from '../fixtures/mount-shells.ts';
import { compileDaemon, MountFolder, runProgram, whyNoMount } from '../fixtures/mount-tools.ts';

const why = await whyNoMount();
const hasPython = (await runProgram('python3', ['-c', ''])).code === 0;
const suffix = why === undefined ? '' : ` (skipped: ${why})`;
const pythonSuffix = hasPython ? '' : ' (skipped: needs python3)';

let folder: MountFolder;

/** What the scripts share: `refused` prints the name of the error that `work` ends with. */
const PRELUDE = `
import ctypes, ctypes.util, errno, fcntl, mmap, os, select, socket, stat, struct
libc = ctypes.CDLL(None, use_errno=True)
def refused(work, *args):
    try: work(*args)
    except OSError as e: print(errno.errorcode[e.errno])
    else: print('done')
def call(function, *args):
    result = function(*args)
    if result < 0: raise OSError(ctypes.get_errno(), '')
    return result
def write(name, data):
    with open(name, 'wb') as f: f.write(data)
def read(name):
    with open(name, 'rb') as f: return f.read()
`;

beforeEach(async () => {
  folder = await MountFolder.make();
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

describe.skipIf(why !== undefined)(`operations${suffix}`, () => {
  beforeAll(async () => {
    await compileDaemon();
  });

  describe.each([
    ['of root', rootShell],
    ['of an ordinary user', userShell],
  ])('%s', (user, start) => {
    let shell: MountShell;
    beforeEach(async () => {
      shell = await start(folder, ['no', '0', '0']);
    });
    const prints = async (script: string, expected: string): Promise<void> => {
      const { code, stdout, stderr } = await shell.run(script);
      expect({ stderr, code, stdout }).toEqual({ stderr: '', code: 0, stdout: expected });
    };
    const python = async (script: string, expected: string): Promise<void> => {
      await prints(`python3 - <<'END'\n${PRELUDE}\n${script}\nEND`, expected);
    };

    it('symlink and readlink: long targets, dangling ones, through directories', async () => {
      const long = 'x/'.repeat(2000);
      await prints(
        `mkdir d; echo hi > d/f; ln -s d/f l; cat l; readlink l; stat -c '%F %s' l
         ln -s nowhere n; readlink n; cat n 2>/dev/null || echo dangling
         ln -s d e; cat e/f; ln -s ${long} long; [ "$(readlink long)" = ${long} ] && echo long
         rm l; cat d/f; ln -sfn / e; readlink e`,
        'hi\nd/f\nsymbolic link 3\nnowhere\ndangling\nhi\nlong\nhi\n/\n',
      );
    });

    it('link: two names of one file, counted, until the last is gone', async () => {
      await prints(
        `echo a > a; ln a b; stat -c %h a b; echo b >> b; cat a; mkdir d; ln b d/c
         stat -c %h a; rm a; stat -c %h b; [ b -ef d/c ] && echo same; rm b; cat d/c
         ln d e 2>/dev/null || echo 'not a directory'; mv d/c d/x; stat -c %h d/x`,
        '2\n2\na\nb\n3\n2\nsame\na\nb\nnot a directory\n1\n',
      );
    });

    it('mknod: fifos that carry data, sockets, and what only root may make', async () => {
      await prints(
        `mkfifo p; stat -c '%F %a' p; (echo through > p &); cat p
         mknod c c 511 1048575 2>/dev/null && stat -c '%F %t %T' c || echo 'not for users'`,
        user === 'of root'
          ? 'fifo 644\nthrough\ncharacter special file 1ff fffff\n'
          : 'fifo 644\nthrough\nnot for users\n',
      );
    });

    it('nlink, owner, mode and size of directories; umask; set-group-id is handed down', async () => {
      await prints(
        `umask 027; mkdir d; touch f; mkdir d/a d/b d/a/x; stat -c '%a %h' d d/a f; rmdir d/b
         stat -c %h d; chmod 2775 d; mkdir d/s; stat -c %a d/s; mv d/a .; stat -c %h d`,
        '750 4\n750 3\n640 1\n3\n2750\n3\n',
      );
    });

    it('a write takes set-user-id away', async () => {
      // The kernel itself goes on showing the old mode as long as it holds the attributes for good.
      await prints(
        `show() { stat --cached=never -c %a a; }; echo a > a; chmod 6755 a; echo b >> a; show
         chmod 4755 a; : > a; show; chmod 4755 a; truncate -s 9 a; show; chmod 6745 a; echo >> a; show`,
        '755\n755\n755\n2745\n',
      );
    });

    it('utimens, statfs, sync, fsync of files and directories', async () => {
      await prints(
        `touch -a -d @1 -- f; touch -m -d @2.5 f; stat -c '%X %.1Y' f; stat -f -c '%l %S' .
         sync f; sync -d f; sync .; sync -f .; dd if=/dev/zero of=g bs=4k count=2 conv=fsync status=none
         stat -c '%s %b' g`,
        '1 2.5\n255 4096\n8192 16\n',
      );
    });

    it('fallocate: ahead, keeping the size, holes and zeros; blocks are counted', async () => {
      await prints(
        `fallocate -l 8192 a; stat -c '%s %b' a; fallocate -n -o 8192 -l 8192 a; stat -c '%s %b' a
         head -c 16384 /dev/zero | tr '\\0' x > a; fallocate -p -o 4096 -l 8192 a; stat -c '%s %b' a
         tr '\\0' . < a | head -c 4098 | tail -c 4; tr '\\0' . < a | tail -c 4098 | head -c 4; echo
         fallocate -z -o 0 -l 4096 a; stat -c '%s %b' a; tr '\\0' . < a | head -c 1; echo
         truncate -s 1G big; stat -c '%s %b' big`,
        '8192 16\n8192 32\n16384 16\nxx....xx\n16384 16\n.\n1073741824 0\n',
      );
    });

    describe.skipIf(!hasPython)(`by system calls${pythonSuffix}`, () => {
      it('lseek finds data and holes', async () => {
        await python(
          `
f = os.open('a', os.O_RDWR | os.O_CREAT)
os.pwrite(f, b'x', 0); os.pwrite(f, b'y' * 4096, 3 << 20); os.ftruncate(f, 8 << 20)
print([os.lseek(f, 0, os.SEEK_DATA), os.lseek(f, 0, os.SEEK_HOLE)])
print([os.lseek(f, 4096, os.SEEK_DATA) >> 20, os.lseek(f, 3 << 20, os.SEEK_HOLE) - (3 << 20)])
refused(os.lseek, f, 4 << 20, os.SEEK_DATA)
refused(os.lseek, f, 9 << 20, os.SEEK_HOLE)
print(os.lseek(f, -1, os.SEEK_END))`,
          '[0, 4096]\n[3, 4096]\nENXIO\nENXIO\n8388607\n',
        );
      });

      it('copy_file_range copies within the file system', async () => {
        await python(
          `
write('a', bytes(range(256)) * 20000); write('b', b'-' * 10)
a, b = os.open('a', os.O_RDWR), os.open('b', os.O_RDWR)
print(os.copy_file_range(a, b, 4000000, 100, 10))
print(read('b') == b'-' * 10 + read('a')[100:4000100])
print(os.copy_file_range(a, b, 1 << 20, 5119990, 0), os.copy_file_range(a, b, 9, 9 << 20, 0))
print(os.copy_file_range(a, a, 100, 0, 6000000), os.stat('a').st_size)
refused(os.copy_file_range, a, a, 100, 0, 50)`,
          '4000000\nTrue\n10 0\n100 6000100\nEINVAL\n',
        );
      });

      it('extended attributes: set, create, replace, list, sizes, remove', async () => {
        await python(
          `
write('a', b'')
os.setxattr('a', 'user.one', b'1'); os.setxattr('a', 'user.two', b'x' * 5000)
print(os.getxattr('a', 'user.one'), len(os.getxattr('a', 'user.two')), sorted(os.listxattr('a')))
refused(os.setxattr, 'a', 'user.one', b'2', os.XATTR_CREATE)
refused(os.setxattr, 'a', 'user.new', b'2', os.XATTR_REPLACE)
os.setxattr('a', 'user.one', b'', os.XATTR_REPLACE); print(os.getxattr('a', 'user.one'))
buffer = ctypes.create_string_buffer(10)
refused(call, libc.getxattr, b'a', b'user.two', buffer, 10)
refused(call, libc.listxattr, b'a', buffer, 10)
print(libc.getxattr(b'a', b'user.two', None, 0), libc.listxattr(b'a', None, 0))
os.removexattr('a', 'user.two'); print(os.listxattr('a'))
refused(os.removexattr, 'a', 'user.two'); refused(os.getxattr, 'a', 'user.two')
os.mkdir('d'); os.setxattr('d', 'user.d', b'd'); print(os.getxattr('d', 'user.d'), os.listxattr('.'))`,
          "b'1' 5000 ['user.one', 'user.two']\nEEXIST\nENODATA\nb''\nERANGE\nERANGE\n5000 18\n" +
            "['user.one']\nENODATA\nENODATA\nb'd' []\n",
        );
      });

      it('renameat2: refuses to replace, exchanges files and directories', async () => {
        await python(
          `
def rename2(a, b, flags): return call(libc.renameat2, -100, a.encode(), -100, b.encode(), flags)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
write('a', b'a'); os.makedirs('d/e'); write('d/f', b'f')
refused(rename2, 'a', 'd', NOREPLACE); refused(rename2, 'a', 'a', NOREPLACE)
rename2('a', 'n', NOREPLACE); print(sorted(os.listdir('.')))
rename2('n', 'd/e', EXCHANGE); print(read('d/e'), os.path.isdir('n'), os.stat('d').st_nlink)
refused(rename2, 'n', 'nothing', EXCHANGE); refused(rename2, 'n', 'w', WHITEOUT)
refused(os.rename, 'd', 'n/../d/sub'); refused(os.rename, 'd/f', 'n'); refused(os.rename, 'n', 'd/f')
refused(os.rename, 'd', 'n'); refused(os.rename, 'n', 'd'); print(sorted(os.listdir('.')))`,
          "EEXIST\nEEXIST\n['d', 'n']\nb'a' True 2\nENOENT\nEINVAL\nEINVAL\nEISDIR\nENOTDIR\n" +
            "done\ndone\n['d']\n",
        );
      });

      it('O_TMPFILE: no name until it is given one, never one with O_EXCL', async () => {
        await python(
          `
f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o640)
os.write(f, b'hidden'); print(os.listdir('.'), os.fstat(f).st_nlink, os.pread(f, 9, 0))
os.link('/proc/self/fd/%d' % f, 'named', src_dir_fd=0, follow_symlinks=True)
print(read('named'), oct(os.stat('named').st_mode), os.stat('named').st_nlink); os.close(f)
g = os.open('.', os.O_TMPFILE | os.O_EXCL | os.O_RDWR)
refused(lambda: os.link('/proc/self/fd/%d' % g, 'never', src_dir_fd=0, follow_symlinks=True))
os.close(g); print(os.listdir('.'))`,
          "[] 0 b'hidden'\nb'hidden' 0o100640 1\nENOENT\n['named']\n",
        );
      });

      it('open: O_EXCL, O_APPEND, O_TRUNC, O_DIRECTORY, O_NOFOLLOW', async () => {
        await python(
          `
write('a', b'abc'); os.symlink('a', 'l')
refused(os.open, 'a', os.O_CREAT | os.O_EXCL); refused(os.open, 'l', os.O_CREAT | os.O_EXCL)
refused(os.open, 'a', os.O_DIRECTORY); refused(os.open, 'l', os.O_NOFOLLOW)
refused(os.open, '.', os.O_WRONLY); refused(os.open, 'none', os.O_RDONLY)
refused(os.open, 'x' * 256, os.O_CREAT); refused(os.mkdir, 'a'); refused(os.rmdir, 'a')
x, y = os.open('a', os.O_WRONLY | os.O_APPEND), os.open('a', os.O_WRONLY | os.O_APPEND)
os.write(x, b'1'); os.write(y, b'2'); os.write(x, b'3'); print(read('a'))
refused(os.read, x, 1)
os.open('a', os.O_WRONLY | os.O_TRUNC); print(read('a'), os.fstat(x).st_size)
refused(os.unlink, '.'); os.mkdir('d'); refused(os.unlink, 'd')`,
          'EEXIST\nEEXIST\nENOTDIR\nELOOP\nEISDIR\nENOENT\nENAMETOOLONG\nEEXIST\nENOTDIR\n' +
            "b'abc123'\nEBADF\nb'' 0\nEISDIR\nEISDIR\n",
        );
      });

      it('statx tells when a file was made; times of names and content change as they should', async () => {
        await python(
          `
import subprocess, time
started = time.time()
write('a', b'1'); os.mkdir('d')
born = lambda name: float(subprocess.check_output(['stat', '-c', '%.W', name]))
print(abs(born('a') - started) < 10, born('a') <= os.stat('a').st_mtime)
before = os.stat('.').st_mtime_ns; time.sleep(0.01); write('b', b''); print(os.stat('.').st_mtime_ns > before)
before = os.stat('a'); time.sleep(0.01); os.chmod('a', 0o600); after = os.stat('a')
print(after.st_ctime_ns > before.st_ctime_ns, after.st_mtime_ns == before.st_mtime_ns)
before = born('a'); time.sleep(0.01); write('a', b'2'); print(born('a') == before)
os.utime('a', ns=(10**9, 2 * 10**9)); print(os.stat('a').st_atime_ns, os.stat('a').st_mtime_ns)`,
          'True True\nTrue\nTrue True\nTrue\n1000000000 2000000000\n',
        );
      });

      it('poll says ready, ioctl knows one command, a socket can be bound', async () => {
        await python(
          `
write('a', b'a'); f = os.open('a', os.O_RDWR)
p = select.poll(); p.register(f, select.POLLIN | select.POLLOUT)
print(p.poll(0)[0][1] == select.POLLIN | select.POLLOUT)
version = struct.unpack('q', fcntl.ioctl(f, 0x80087601, b'\\0' * 8))[0]
print(version > 1, version == os.fstat(f).st_ino); refused(fcntl.ioctl, f, 0x80087602, b'\\0' * 8)
s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen(); print(stat.S_ISSOCK(os.stat('s').st_mode))
c = socket.socket(socket.AF_UNIX); c.connect('s'); print('connected')`,
          'True\nTrue True\nENOTTY\nTrue\nconnected\n',
        );
      });

      it('mmap shared and private, locks of both kinds, seekdir', async () => {
        await python(
          `
write('a', b'.' * 10000); f = os.open('a', os.O_RDWR)
m = mmap.mmap(f, 10000); m[5000:5003] = b'map'; m.flush(); print(read('a')[4999:5004])
q = mmap.mmap(f, 10000, mmap.MAP_PRIVATE); q[0:1] = b'X'; print(read('a')[:1]); m.close()
fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); g = os.open('a', os.O_RDWR)
refused(fcntl.flock, g, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10); print('locked')
os.mkdir('d')
for i in range(3000): os.close(os.open('d/%d' % i, os.O_CREAT))
names = os.listdir('d'); print(len(names), len(set(names)))
with os.scandir('d') as listing:
    for n, entry in enumerate(listing): os.unlink(entry.path)
print(n + 1, os.listdir('d')); os.rmdir('d')`,
          "b'.map.'\nb'.'\nEAGAIN\nlocked\n3000 3000\n3000 []\n",
        );
      });
    });
  });
});
