/** Ways and options of mounting, on real mounts and with the real command. */
import { spawn } from 'node:child_process';
import { chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { attachMount } from '../../src/fuse/linux/mount.ts';
import { parseMountinfo } from '../../src/fuse/linux/mountinfo.ts';
import { forceUnmount } from '../../src/fuse/linux/unmount.ts';
import { loadNative } from '../../src/fuse/native.ts';
import type { MountOptions } from '../../src/fuse/transport.ts';
import { silentLog } from '../../src/lib/log.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { MemoryFileSystem } from '../fixtures/memory-filesystem.ts';
import {
  compileDaemon,
  killed,
  MountFolder,
  runProgram,
  whyNoMount,
} from '../fixtures/mount-tools.ts';
import { exists, Scene } from '../fixtures/real-mount.ts';

const NOBODY = 65534;
const fusectlMounted = (await readFile('/proc/self/mountinfo', 'utf8')).includes(' - fusectl ');
const why = await whyNoMount();
const { signal } = new AbortController();

async function mountTable(): Promise<string> {
  return await readFile('/proc/self/mountinfo', 'utf8');
}

describe.skipIf(why !== undefined)(`mounting${why === undefined ? '' : ` (${why})`}`, () => {
  let folder: MountFolder;
  beforeAll(async () => {
    await compileDaemon();
  });
  beforeEach(async () => {
    folder = await MountFolder.make();
  });
  afterEach(async () => {
    await folder[Symbol.asyncDispose]();
  });
  const usual = (): MountOptions => ({
    mountPoint: folder.mountPoint,
    readOnly: false,
    allowOther: false,
    fsName: 'memory',
  });
  const optionsOf = async (): Promise<string> => {
    const line = (await mountTable()).split('\n').find((each) => each.includes(folder.mountPoint));
    return line ?? '';
  };

  it('tells the kernel each option', async () => {
    const plain = await attachMount(usual(), signal);
    expect(await optionsOf()).toMatch(
      / rw,nosuid,nodev,relatime .* fuse\.wire memory .*default_permissions/,
    );
    await plain[Symbol.asyncDispose]();
    const other = await attachMount(
      {
        ...usual(),
        readOnly: true,
        allowOther: true,
        noAtime: true,
        noExec: true,
        defaultPermissions: false,
        fsName: 's3://a,b',
      },
      signal,
    );
    const line = await optionsOf();
    expect(line).toMatch(/ ro,nosuid,nodev,noexec,noatime .* fuse\.wire s3:\/\/a,b .*allow_other/);
    expect(line).not.toContain('default_permissions');
    await other[Symbol.asyncDispose]();
  });

  it('serves a mount that somebody else made, from its descriptor, and does not unmount it', async () => {
    const addon = loadNative();
    const descriptor = addon.openDevice('/dev/fuse');
    const options = 'rootmode=40000,user_id=0,group_id=0,allow_other';
    await addon.mount(descriptor, folder.mountPoint, 'passed', 'other', options, 0);
    const mount = await attachMount({ ...usual(), mountPoint: `/dev/fd/${descriptor}` }, signal);
    mount.serve(new MemoryFileSystem(), silentLog);
    const { stdout } = await runProgram('sh', ['-c', `cd ${folder.mountPoint}; echo a > a; cat a`]);
    expect(stdout).toBe('a\n');
    await mount.unmount('wait', signal);
    expect(await mountTable()).toContain(folder.mountPoint);
    const { stderr } = await runProgram('ls', [folder.mountPoint]);
    expect(stderr).toContain('not connected');
  });

  it('refuses a descriptor that is not /dev/fuse', async () => {
    for (const mountPoint of ['/dev/fd/0', '/dev/fd/987654']) {
      await expect(attachMount({ ...usual(), mountPoint }, signal)).rejects.toMatchObject({
        kind: 'mount-point',
      });
    }
  });

  it('lets one of several that start at the same time have the place, and the others know', async () => {
    const options = { ...usual(), lockFolder: folder.path };
    for (let round = 0; round < 5; round += 1) {
      const tries = await Promise.allSettled(
        Array.from({ length: 4 }, async () => await attachMount(options, signal)),
      );
      const mounted = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const refused = tries.flatMap((each) =>
        each.status === 'rejected' ? [each.reason as { readonly kind: string }] : [],
      );
      expect(mounted).toHaveLength(1);
      expect(refused.map(({ kind }) => kind)).toEqual([
        'mount-point',
        'mount-point',
        'mount-point',
      ]);
      const stacked = parseMountinfo(await mountTable()).filter(
        ({ mountPoint }) => mountPoint === folder.mountPoint,
      );
      expect(stacked).toHaveLength(1);
      await mounted[0]?.[Symbol.asyncDispose]();
    }
    expect((await readdir(folder.path)).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });

  it('that is wedged is got rid of by force, and who waited for it gets an error', async () => {
    const daemon = await folder.startDaemon(['no', '4096', '0', '0']);
    daemon.kill('SIGSTOP');
    const waiting = runProgram('stat', [join(folder.mountPoint, 'big')]);
    let over = false;
    void waiting.then(() => (over = true));
    await runProgram('sleep', ['0.3']);
    expect(over).toBe(false);
    await forceUnmount(folder.mountPoint, signal);
    expect((await waiting).stderr).toMatch(/not connected|aborted|connection abort/i);
    expect(await mountTable()).not.toContain(folder.mountPoint);
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGCONT');
    await ended;
  });

  it('by force of what is not there, or not ours, is refused', async () => {
    await expect(forceUnmount(folder.mountPoint, signal)).rejects.toMatchObject({
      kind: 'not-found',
    });
    await runProgram('mount', ['-t', 'tmpfs', 'tmpfs', folder.mountPoint]);
    await expect(forceUnmount(folder.mountPoint, signal)).rejects.toMatchObject({
      kind: 'not-found',
    });
    await runProgram('umount', [folder.mountPoint]);
  });

  it.skipIf(fusectlMounted)(
    'by force needs root where fusectl is not mounted, and says so',
    async () => {
      const mount = await attachMount(usual(), signal);
      mount.serve(new MemoryFileSystem(), silentLog);
      vi.spyOn(process, 'geteuid').mockReturnValue(NOBODY);
      await expect(forceUnmount(folder.mountPoint, signal)).rejects.toMatchObject({
        kind: 'mount-point',
        facts: {
          answered: 'fusectl is not mounted',
          next: expect.stringContaining('ask root') as string,
        },
      });
      vi.restoreAllMocks();
      expect(await mountTable()).toContain(folder.mountPoint);
      await mount[Symbol.asyncDispose]();
    },
  );

  describe('for other users, by an ordinary one', () => {
    /** In a mount namespace with a /dev/fuse for everybody and a fuse.conf of our own. */
    const wrapper = async (fuseConf: string): Promise<readonly string[]> => {
      const [node, conf] = [join(folder.path, 'fuse'), join(folder.path, 'fuse.conf')];
      await writeFile(conf, fuseConf);
      await chown(folder.mountPoint, NOBODY, NOBODY);
      const prepare = `[ -e ${node} ] || mknod ${node} c 10 229; chmod 666 ${node}
        mount --bind ${node} /dev/fuse; mount --bind ${conf} /etc/fuse.conf; exec "$@"`;
      const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
      const apart = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', prepare, 'sh'];
      return [...apart, ...asNobody];
    };

    it('is refused without user_allow_other in /etc/fuse.conf, saying what to do', async () => {
      const [file = '', ...args] = [
        ...(await wrapper('# user_allow_other\n')),
        ...folder.daemonCommand(['allow-other']),
      ];
      const { code, stderr } = await runProgram(file, args);
      expect(code).toBe(exitCodeOf['no-fuse']);
      expect(stderr).toMatch(
        /fuse\.conf does not permit it; ask root to add a line user_allow_other/,
      );
    });

    it('lets them in with it, and keeps them out without allow_other', async () => {
      const conf = await wrapper('user_allow_other\n');
      for (const [option, code] of [
        ['allow-other', 0],
        ['no', 1],
      ] as const) {
        const daemon = await folder.startDaemon([option, '4096'], conf);
        const inside = [`--target=${daemon.pid}`, '--mount', '--'];
        const other = ['setpriv', '--reuid=1234', '--regid=1234', '--clear-groups'];
        const seen = await runProgram('nsenter', [...inside, ...other, 'ls', folder.mountPoint]);
        expect({ option, code: seen.code }).toEqual({ option, code: code === 0 ? 0 : seen.code });
        expect(seen.stdout).toBe(code === 0 ? 'big\n' : '');
        const ended = new Promise((resolve) => daemon.once('exit', resolve));
        daemon.kill('SIGTERM');
        await ended;
      }
    });
  });

  describe('by the command', () => {
    it('serves a passed descriptor until it is told to stop, and leaves the mount', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { user, playground } = scene;
      const addon = loadNative();
      const descriptor = addon.openDevice('/dev/fuse');
      const options = 'rootmode=40000,user_id=0,group_id=0';
      await addon.mount(descriptor, folder.mountPoint, 'passed', 'other', options, 0);
      const args = ['mount', `s3://${playground.bucket}`, '/dev/fd/3', ...scene.store];
      await expect(user.wire([...args, '--daemon'], scene.signal)).rejects.toThrow(
        /leave --daemon out/,
      );
      const [node = '', ...command] = user.commandLine(args);
      const child = spawn(node, command, {
        stdio: ['ignore', 'pipe', 'inherit', descriptor],
        env: { ...process.env, ...user.environment },
      });
      addon.closeDescriptor(descriptor);
      try {
        await writeFile(join(folder.mountPoint, 'x'), 'y');
        expect(await readdir(folder.mountPoint)).toContain('x');
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        expect(await ended).toBe(0);
        expect(await mountTable()).toContain(folder.mountPoint);
        const keys = playground.s3.foreign.objects(playground.bucket).map(({ key }) => key);
        expect(keys).toContain('x');
      } finally {
        await killed(child);
      }
    });

    it('shows owner, mode and name as told', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const mountPoint = scene.place('bucket');
      const words = 'uid=123,gid=456,umask=027,noatime,noexec,fsname=mine';
      await scene.mount(`s3://${scene.playground.bucket}`, mountPoint, '-o', words);
      await writeFile(join(mountPoint, 'x'), 'y');
      const { uid, gid, mode } = await stat(mountPoint);
      expect({ uid, gid, mode: mode & 0o777 }).toEqual({ uid: 123, gid: 456, mode: 0o750 });
      const line = (await mountTable()).split('\n').find((each) => each.includes(mountPoint));
      expect(line).toMatch(/nosuid,nodev,noexec,noatime .* fuse\.wire mine /);
      await scene.user.wire(['unmount', mountPoint], scene.signal);
    });

    it('refuses to mount over its own files, before it touches anything', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const { user, playground } = scene;
      const args = ['mount', `s3://${playground.bucket}`, user.folder, ...scene.store, '--mkdir'];
      const before = await readdir(user.folder);
      await expect(user.wire(args, scene.signal)).rejects.toThrow(/would lie in it/);
      const logged = scene.place('logged');
      await mkdir(logged);
      const inside = ['mount', `s3://${playground.bucket}`, logged, ...scene.store];
      const log = ['--log-file', join(logged, 'wire.log')];
      await expect(user.wire([...inside, ...log], scene.signal)).rejects.toThrow(/the log file/);
      expect(await readdir(user.folder)).toEqual([...before, 'logged'].sort());
    });

    it('mounts once when run twice at the same time', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const mountPoint = scene.place('bucket');
      const source = `s3://${scene.playground.bucket}`;
      const tries = await Promise.allSettled([
        scene.mount(source, mountPoint),
        scene.mount(source, mountPoint),
        scene.mount(source, mountPoint),
      ]);
      const refusals = tries.flatMap((each) =>
        each.status === 'rejected' ? [String(each.reason)] : [],
      );
      expect(refusals).toHaveLength(2);
      for (const refusal of refusals) {
        expect(refusal).toMatch(/mounting there just now|mounted there already/);
      }
      await writeFile(join(mountPoint, 'x'), 'y');
      await scene.user.wire(['unmount', mountPoint], scene.signal);
      expect(await mountTable()).not.toContain(mountPoint);
    });

    it('unmounts a stopped process by force', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const mountPoint = scene.place('bucket');
      await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
      const [pid = 0] = await scene.daemons();
      process.kill(pid, 'SIGSTOP');
      try {
        const { stdout } = await scene.user.wire(['unmount', '--force', mountPoint], scene.signal);
        expect(stdout).toBe(`Unmounted ${mountPoint}\n`);
        expect(await mountTable()).not.toContain(mountPoint);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await expect.poll(async () => await exists(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
    });
  });
});
