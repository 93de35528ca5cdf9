/** The memory file system on a real mount: programs of the system against the transport. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FileSystem } from '../../src/fs/filesystem.ts';
import type { InodeNumber } from '../../src/fs/ids.ts';
import type { AttachedMount } from '../../src/fuse/linux/attached-mount.ts';
import { DeviceChannel } from '../../src/fuse/linux/device-channel.ts';
import { errnoNumbers } from '../../src/fuse/linux/errno.ts';
import { attachMount } from '../../src/fuse/linux/mount.ts';
import { resolveMountPoint } from '../../src/fuse/linux/mount-point.ts';
import { listMounts, unmountPath } from '../../src/fuse/linux/unmount.ts';
import { loadNative } from '../../src/fuse/native.ts';
import { Notifications } from '../../src/fuse/notifications.ts';
import { Session } from '../../src/fuse/session.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MemoryFileSystem } from '../fixtures/memory-filesystem.ts';
import {
  compileDaemon,
  killed,
  MountFolder,
  type ProgramResult,
  runProgram,
  whyNoMount,
} from '../fixtures/mount-tools.ts';

const NOBODY = 65534;
const why = await whyNoMount();
const suffix = why === undefined ? '' : ` (skipped: ${why})`;
const { signal } = new AbortController();

let folder: MountFolder;

/** Runs a shell script in the mount; it stops at the first command that fails. */
type Shell = (script: string) => Promise<ProgramResult>;

const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

async function rootShell(): Promise<Shell> {
  await folder.startDaemon(['no', '0', '10000']);
  return (script) => runProgram('sh', ['-ec', `cd ${folder.mountPoint}\n${script}`]);
}

/**
 * The daemon and the programs run as nobody in a mount namespace of their own, where a node that
 * everybody may open stands in for /dev/fuse. The machine's own stays as it is.
 */
async function userShell(): Promise<Shell> {
  await chown(folder.mountPoint, NOBODY, NOBODY);
  const prepare = `${privateDevice()}; exec "$@"`;
  const { pid } = await folder.startDaemon(
    ['no', '0', '10000'],
    ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', prepare, 'sh', ...asNobody],
  );
  return (script) =>
    runProgram('nsenter', [
      ...[`--target=${pid}`, '--mount', '--', ...asNobody],
      ...['sh', '-ec', `cd ${folder.mountPoint}\n${script}`],
    ]);
}

function privateDevice(): string {
  const node = join(folder.path, 'fuse');
  return `mknod ${node} c 10 229; chmod 666 ${node}; mount --bind ${node} /dev/fuse`;
}

const quote = (word: string): string => `'${word}'`;

beforeEach(async () => {
  folder = await MountFolder.make();
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

describe.skipIf(why !== undefined)(`a mount${suffix}`, () => {
  beforeAll(async () => {
    await compileDaemon();
  });

  describe.each([
    ['of root', rootShell],
    ['of an ordinary user, through fusermount3', userShell],
  ])('%s', (_, start) => {
    let shell: Shell;
    beforeEach(async () => {
      shell = await start();
    });
    const prints = async (script: string, expected: string): Promise<void> => {
      const { code, stdout, stderr } = await shell(script);
      expect({ stderr, code, stdout }).toEqual({ stderr: '', code: 0, stdout: expected });
    };

    it('keeps what is written, appended, cut and written over', async () => {
      await prints(
        `printf hello > a; cat a; printf ' world' >> a; cat a; truncate -s 3 a; cat a
         truncate -s 5 a; od -An -c a; printf X | dd of=a bs=1 seek=1 conv=notrunc status=none
         head -c 3 a; printf new > a; cat a; stat -c ' %s %a' a`,
        'hellohello worldhel   h   e   l  \\0  \\0\nhXlnew 3 644\n',
      );
    });

    it('makes, lists and removes directories', async () => {
      await prints(
        `mkdir -p d/e; touch d/e/f d/e/.g; ls -A d/e; find d | sort
         rmdir d 2>/dev/null || echo kept; rm -r d; ls -A d 2>/dev/null || echo gone`,
        '.g\nf\nd\nd/e\nd/e/.g\nd/e/f\nkept\ngone\n',
      );
    });

    it('renames, replaces and moves', async () => {
      await prints(
        `echo a > a; echo b > b; mv a b; cat b; mkdir d; mv b d/c; cat d/c; mv d e; cat e/c
         echo x > x; mv -n x e/c; cat e/c; ls -A x e`,
        'a\na\na\na\nx\n\ne:\nc\n',
      );
    });

    it('keeps an unlinked file as long as it is open', async () => {
      await prints(
        'echo kept > a; exec 3< a; rm a; ls a 2>/dev/null || echo gone; cat <&3',
        'gone\nkept\n',
      );
    });

    it('keeps permissions and times, to the nanosecond where milliseconds hold it', async () => {
      await prints(
        `touch -d @1700000000.250000000 a; chmod 751 a; stat -c '%a %.9Y' a
         touch -d @-1.5 a; stat -c '%.9Y' a`,
        '751 1700000000.250000000\n-1.500000000\n',
      );
    });

    it('takes a tree and gives it back the same', async () => {
      const tree = join(import.meta.dirname, '..', '..', 'src');
      const { stdout } = await runProgram('sh', ['-c', `find ${tree} | wc -l`]);
      await prints(
        `cp -r ${tree} copy; diff -r ${tree} copy; find copy | wc -l; tar cf t.tar copy
         mkdir out; tar xf t.tar -C out; diff -r ${tree} out/copy; rm -r copy out`,
        stdout,
      );
    });

    it('carries large files through in requests of any size', async () => {
      await prints(
        `head -c 20000003 /dev/urandom > a; sum=$(sha256sum < a)
         dd if=a of=b bs=3M status=none; cp a c; dd if=a of=d bs=7777 status=none
         dd if=a of=e bs=1M iflag=direct status=none
         for f in b c d e; do [ "$(sha256sum < $f)" = "$sum" ] && echo $f; done`,
        'b\nc\nd\ne\n',
      );
    });

    it('lists ten thousand names, each once', async () => {
      await prints(
        'ls many | sort -u | wc -l; ls many | wc -l; ls -l many | wc -l',
        '10000\n10000\n10001\n',
      );
    });

    it('is of our type, and says so of what is not there', async () => {
      await prints(
        'df --output=fstype . | tail -1; [ -e nothing ] || echo none',
        'fuse.wire\nnone\n',
      );
    });
  });

  it('dead after kill -9 answers ENOTCONN, and the next one replaces it unseen', async () => {
    const first = await folder.startDaemon(['no', '4096']);
    await killed(first);
    const { stderr } = await runProgram('ls', [folder.mountPoint]);
    expect(stderr).toContain('Transport endpoint is not connected');
    // Looks all the time: an empty listing would be the bare directory.
    const looking = spawn(process.execPath, ['-e', WATCHER, folder.mountPoint], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let seen = '';
    looking.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    await new Promise((resolve) => looking.stdout.once('data', resolve));
    await folder.startDaemon(['no', '4096']);
    await expect.poll(() => seen, { timeout: 20_000 }).toContain('big');
    looking.stdin.end();
    await new Promise((resolve) => looking.once('close', resolve));
    expect(new Set(seen.trim().split('\n'))).toEqual(new Set(['ENOTCONN', 'big']));
    await runProgram('umount', [folder.mountPoint]);
    expect(await readdir(folder.mountPoint)).toEqual([]);
  });

  it('of a user that died is replaced too', async () => {
    await chown(folder.mountPoint, NOBODY, NOBODY);
    const daemon = folder.daemonCommand([]).map(quote).join(' ');
    const { stdout, stderr } = await runProgram('unshare', [
      ...['--mount', '--propagation', 'private', 'sh', '-ec', `${privateDevice()}\n${RESTART}`],
      ...['sh', `${asNobody.join(' ')} ${daemon}`, folder.mountPoint, join(folder.path, 'said')],
    ]);
    expect({ stderr, stdout }).toEqual({ stderr: '', stdout: 'dead\nalive\ngone\n' });
  });

  it('is listed with its state, and what a dead daemon left is unmounted by path', async () => {
    const daemon = await folder.startDaemon([]);
    const { mountPoint } = folder;
    const state = async (): Promise<string | undefined> =>
      (await listMounts(signal)).find((mount) => mount.mountPoint === mountPoint)?.state;
    expect(await state()).toBe('alive');
    await killed(daemon);
    expect(await state()).toBe('dead');
    expect(await resolveMountPoint(`${mountPoint}/../mnt`)).toBe(mountPoint);
    await unmountPath(mountPoint, 'wait', signal);
    expect(await state()).toBeUndefined();
    await expect(unmountPath(mountPoint, 'wait', signal)).rejects.toMatchObject({
      kind: 'not-found',
    });
  });

  it.each([
    ['asked to stop', 'SIGTERM'],
    ['leaves by process.exit', 'SIGHUP'],
  ] as const)('is taken away when its process %s', async (_, name) => {
    const daemon = await folder.startDaemon([]);
    const gone = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill(name);
    await gone;
    expect(daemon.exitCode).toBe(0);
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(folder.mountPoint);
  });

  describe('in this process', () => {
    let mount: AttachedMount | undefined;
    const attach = async (): Promise<AttachedMount> => {
      const { mountPoint } = folder;
      const options = { mountPoint, readOnly: false, allowOther: false, fsName: 'memory' };
      mount = await attachMount(options, signal);
      return mount;
    };
    afterEach(async () => {
      await mount?.[Symbol.asyncDispose]();
      mount = undefined;
    });

    it('holds every access until it is served, so that nothing lands below', async () => {
      const attached = await attach();
      const writing = runProgram('sh', ['-c', `echo a > ${folder.mountPoint}/a`]);
      let wrote = false;
      void writing.then(() => (wrote = true));
      // Long enough for a shell to start and write, were it let through.
      await runProgram('sleep', ['0.3']);
      expect(wrote).toBe(false);
      const files = new MemoryFileSystem();
      attached.serve(files, silentLog);
      expect((await writing).code).toBe(0);
      await attached.unmount('wait', signal);
      expect(await readdir(folder.mountPoint)).toEqual([]);
    });

    it('that was never served goes away and lets its callers go', async () => {
      const attached = await attach();
      const waiting = runProgram('ls', [folder.mountPoint]);
      await runProgram('sleep', ['0.2']);
      await attached[Symbol.asyncDispose]();
      expect((await waiting).code).not.toBe(0);
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(folder.mountPoint);
    });

    it('ends when somebody else unmounts it, with no handle left open', async () => {
      const files = new MemoryFileSystem();
      const attached = await attach();
      attached.serve(files, silentLog);
      await runProgram('sh', ['-c', `cd ${folder.mountPoint}; echo a > a; cat a; ls -l`]);
      await runProgram('umount', [folder.mountPoint]);
      await attached.ended;
      expect(files.openHandles).toBe(0);
    });

    it('refuses to go while a program uses it, and goes lazily when told', async () => {
      const attached = await attach();
      attached.serve(new MemoryFileSystem(), silentLog);
      const user = spawn('sh', ['-c', `cd ${folder.mountPoint} && echo in && exec sleep 60`], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await new Promise((resolve) => user.stdout.once('data', resolve));
      await expect(attached.unmount('wait', signal)).rejects.toMatchObject({
        kind: 'mount-point',
        facts: { answered: 'it is busy (EBUSY)' },
      });
      await attached.unmount('lazy', signal);
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(folder.mountPoint);
      await killed(user);
      await attached.ended;
    });

    it('goes although another mount namespace has a copy, which answers ENOTCONN then', async () => {
      const files = new MemoryFileSystem();
      const attached = await attach();
      attached.serve(files, silentLog);
      await runProgram('sh', ['-c', `echo a > ${folder.mountPoint}/a`]);
      const there = `unshare --mount --propagation private sh -c 'cat a; read -r line; cat a'`;
      const other = spawn('sh', ['-c', `cd ${folder.mountPoint} && exec ${there}`]);
      const said = text(other.stderr);
      await once(other.stdout, 'data');
      // Its working folder is in its own copy: here nobody uses the mount.
      await attached.unmount('wait', signal);
      expect(files.openHandles).toBe(0);
      other.stdin.end('\n');
      expect(await said).toContain('not connected');
    });

    it('leaves alone what somebody else has mounted on it', async () => {
      const attached = await attach();
      attached.serve(new MemoryFileSystem(), silentLog);
      const mounts = async (): Promise<readonly string[]> =>
        (await readFile('/proc/self/mountinfo', 'utf8'))
          .split('\n')
          .filter((line) => line.includes(` ${folder.mountPoint} `))
          .map((line) => / - (\S+)/.exec(line)?.[1] ?? '');
      await runProgram('mount', ['-t', 'tmpfs', 'other', folder.mountPoint]);
      try {
        await expect(attached.unmount('wait', signal)).rejects.toMatchObject({
          kind: 'mount-point',
          facts: { answered: 'another mount (tmpfs) lies on it' },
        });
        await expect(attached.unmount('lazy', signal)).rejects.toMatchObject({
          kind: 'mount-point',
        });
        attached.unmountNow();
        await attached.ended;
        expect(await mounts()).toEqual(['fuse.wire', 'tmpfs']);
      } finally {
        await runProgram('umount', [folder.mountPoint]);
        await runProgram('umount', ['--lazy', folder.mountPoint]);
      }
      expect(await mounts()).toEqual([]);
    });

    it('gets every reference back when the kernel drops what it remembers', async () => {
      const files = new MemoryFileSystem();
      files.addDirectory('many', 300);
      const attached = await attach();
      attached.serve(files, silentLog);
      await runProgram('ls', ['-lR', folder.mountPoint]);
      expect(files.lookups).toBeGreaterThanOrEqual(300);
      // A remount makes the kernel drop what it remembers of this file system only.
      await runProgram('mount', ['-i', '-o', 'remount,rw', folder.mountPoint]);
      await expect.poll(() => files.lookups, { timeout: 10_000 }).toBe(0);
      expect(files.knownInodes).toBe(301);
    });

    it('is told to forget pages while a read of them is under way, and the loop goes on', async () => {
      const addon = loadNative();
      const descriptor = addon.openDevice('/dev/fuse');
      const options = 'rootmode=40000,user_id=0,group_id=0,max_read=4096';
      await addon.mount(descriptor, folder.mountPoint, 'memory', 'wire', options, 0);
      const channel = new DeviceChannel(addon, descriptor);
      const files = new MemoryFileSystem();
      files.addPattern('big', 1 << 20);
      let letRead = (): void => undefined;
      const held = new Promise<void>((resolve) => (letRead = resolve));
      let reads = 0;
      const read = files.read.bind(files);
      const slow: FileSystem = files;
      slow.read = async (...[handle, offset, bytes]) => {
        reads += 1;
        await held;
        return read(handle, offset, bytes);
      };
      const session = new Session(channel, slow, errnoNumbers, silentLog);
      session.start();
      const reading = runProgram('head', ['-c', '10', join(folder.mountPoint, 'big')]);
      await expect.poll(() => reads).toBeGreaterThan(0);
      let told = false;
      const kernel = new Notifications(channel, silentLog);
      const telling = kernel.invalidateInode(2 as InodeNumber).then(() => (told = true));
      expect((await runProgram('stat', [join(folder.mountPoint, 'big')])).code).toBe(0);
      expect(told).toBe(false);
      letRead();
      await telling;
      expect((await reading).code).toBe(0);
      await addon.unmount(folder.mountPoint, 0);
      await session.ended;
    });

    it('is refused where it cannot be, saying why', async () => {
      const refusal = { kind: 'mount-point' };
      const answered = (text: string): object => ({ ...refusal, facts: { answered: text } });
      await attach();
      mount?.serve(new MemoryFileSystem(), silentLog);
      const served = mount;
      await expect(attach()).rejects.toMatchObject(
        answered('something is mounted there already (busy)'),
      );
      await served?.unmount('wait', signal);
      await writeFile(join(folder.mountPoint, 'file'), '');
      await expect(attach()).rejects.toMatchObject(answered('it is not empty'));
      await rm(folder.mountPoint, { recursive: true });
      await expect(attach()).rejects.toMatchObject(answered('it does not exist'));
      await writeFile(folder.mountPoint, '');
      await expect(attach()).rejects.toMatchObject(answered('it is not a directory'));
      await rm(folder.mountPoint);
      await mkdir(folder.mountPoint);
    });
  });
});

/** `$1` starts a daemon on `$2`, `$3` takes what it says: killed, looked at, started again. */
const RESTART = `
start() { : > $3; eval "$1 > $3 &"; pid=$!; until grep -q ready $3; do kill -0 $pid; sleep 0.05; done; }
look() { ${asNobody.join(' ')} cat $2/none 2>&1 | grep -q "$4" && echo $5; }
start "$@"; kill -9 $pid; wait $pid 2> /dev/null || true
look "$@" 'not connected' dead
start "$@"
look "$@" 'No such file' alive
kill -HUP $pid; wait $pid
grep -q " $2 " /proc/self/mountinfo || echo gone
`;

/** Lists a directory until its standard input ends; prints each new outcome on a line. */
const WATCHER = `
const { readdir } = require('fs');
let last, stop = false;
process.stdin.on('end', () => (stop = true)).resume();
(function look() {
  readdir(process.argv[1], (error, names) => {
    const outcome = error ? error.code : names.join() || 'BARE';
    if (outcome !== last) console.log(outcome);
    last = outcome;
    if (!stop) setImmediate(look);
  });
})();
`;
