/** A process that serves a mount ends, whatever the kernel waits for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { forceUnmount } from '../../src/fuse/linux/unmount.ts';
import { compileDaemon, MountFolder, whyNoMount } from '../fixtures/mount-tools.ts';

const BUILT = join(import.meta.dirname, '..', '..', 'build', 'e2e');
/** Long enough for a process to end; one that the kernel holds never does. */
const WAIT = { timeout: 10_000 };

/** Serves a file whose reads are never answered; `asked` resolves at the first one. */
const SERVE = `
const [mountPoint, built] = process.argv.slice(1);
const { attachMount } = await import(built + '/src/fuse/linux/mount.js');
const { silentLog } = await import(built + '/src/lib/log.js');
const { MemoryFileSystem } = await import(built + '/test/fixtures/memory-filesystem.js');
const { spawn } = await import('node:child_process');
const files = new MemoryFileSystem({ ttlMs: 60000 });
files.addPattern('big', 1 << 20);
let ask;
const asked = new Promise((resolve) => (ask = resolve));
files.read = () => (ask(), new Promise(() => undefined));
const options = { mountPoint, readOnly: false, allowOther: false, fsName: 'memory' };
const mount = await attachMount(options, new AbortController().signal);
process.on('exit', () => mount.unmountNow());
const kernel = mount.serve(files, silentLog);
const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
// Opens at once and reads a moment later.
const read = "const fd = fs.openSync(process.argv[1]); console.log(); setTimeout(() => fs.readSync(fd, Buffer.alloc(9)), 500)";
const reader = spawn(process.execPath, ['-e', read, mountPoint + '/big'], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
await new Promise((resolve) => reader.stdout.once('data', resolve));
`;
/** The read was taken; then the notification waits for it in a thread of this process. */
const TAKEN = 'await asked; kernel.invalidateInode(2); sleep(500);';
/** The loop stands still while the read comes, so that nobody takes it. */
const NOT_TAKEN = 'sleep(1500); kernel.invalidateInode(2); sleep(500);';

/** Serves in a worker that is ended while its notifications are on their way; five times. */
const WORKERS = `
const [mountPoint, built] = process.argv.slice(1);
const { Worker } = await import('node:worker_threads');
const { loadNative } = await import(built + '/src/fuse/native.js');
const addon = loadNative();
for (let round = 0; round < 5; round += 1) {
  const worker = new Worker(\`
    const { parentPort, workerData } = await import('node:worker_threads');
    const [mountPoint, built] = workerData;
    (async () => {
      const { attachMount } = await import(built + '/src/fuse/linux/mount.js');
      const { silentLog } = await import(built + '/src/lib/log.js');
      const { MemoryFileSystem } = await import(built + '/test/fixtures/memory-filesystem.js');
      const options = { mountPoint, readOnly: false, allowOther: false, fsName: 'memory' };
      const mount = await attachMount(options, new AbortController().signal);
      const kernel = mount.serve(new MemoryFileSystem(), silentLog);
      setInterval(() => kernel.invalidateInode(2), 1);
      setTimeout(() => parentPort.postMessage('serves'), 100);
    })();\`, { eval: true, workerData: [mountPoint, built] });
  await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
  addon.unmountSync(mountPoint, 1);
}
`;

const why = await whyNoMount();
const { signal } = new AbortController();

describe.skipIf(why !== undefined)(
  `while notifications are on their way${why === undefined ? '' : ` (${why})`}, a process`,
  () => {
    let folder: MountFolder;
    let child: ChildProcess;
    let said = '';
    beforeAll(async () => {
      await compileDaemon();
    });
    beforeEach(async () => {
      folder = await MountFolder.make();
    });
    afterEach(async () => {
      await folder[Symbol.asyncDispose]();
    });

    const start = (script: string, before = SERVE): void => {
      const args = ['--input-type=module', '-e', before + script, folder.mountPoint, BUILT];
      child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      said = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
    };
    const isMounted = async (): Promise<boolean> =>
      (await readFile('/proc/self/mountinfo', 'utf8')).includes(folder.mountPoint);

    it.each([
      ['that we have not answered', TAKEN],
      ['that is still in the queue of the kernel', NOT_TAKEN],
    ])('ends and unmounts although one waits for a read %s', async (_, script) => {
      start(`${script} process.exit(3);`);
      await expect.poll(() => child.exitCode, WAIT).toBe(3);
      expect(await isMounted()).toBe(false);
    });

    it('outlives a worker that served and was ended', async () => {
      start('', WORKERS);
      await expect.poll(() => child.exitCode ?? child.signalCode, WAIT).toBe(0);
    });

    it('that was killed is let go by an unmount with force', async () => {
      start(`${TAKEN} console.log('held'); setInterval(() => undefined, 1000);`);
      await expect.poll(() => said, WAIT).toContain('held');
      child.kill('SIGKILL');
      await forceUnmount(folder.mountPoint, signal);
      await expect.poll(() => child.signalCode, WAIT).toBe('SIGKILL');
      expect(await isMounted()).toBe(false);
    });
  },
);
