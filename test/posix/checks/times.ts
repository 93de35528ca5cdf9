/** Times of files: which calls change which, and how exactly they are kept. */
import { type Checks, holds, refuses, same, USER } from '../check.ts';
import { O } from '../flags.ts';
import type { Stat } from '../structs.ts';
import type { SystemCalls } from '../system-calls.ts';

const SOME_TIME = 1_234_567_890_125_000_000n;
/** Has a part of a second that no floating-point number of this size holds. */
const EXACT_TIME = 1_234_567_890_123_456_789n;
const SECOND = 1_000_000_000n;

/** Which of the times of `path` `work` has changed. */
async function changed(
  sys: SystemCalls,
  path: string,
  work: () => Promise<unknown>,
): Promise<readonly string[]> {
  const before = await sys.stat(path);
  await sys.tick();
  await work();
  const after = await sys.stat(path);
  const names: readonly (keyof Stat & ('mtime' | 'ctime'))[] = ['mtime', 'ctime'];
  for (const name of names) holds(after[name] >= before[name], `${name} does not go back`);
  return names.filter((name) => after[name] !== before[name]);
}

const both = ['mtime', 'ctime'];

export const timeChecks: Checks = {
  'a new file has the time of now': async (sys) => {
    const before = BigInt(Date.now()) * 1_000_000n - SECOND;
    await sys.put('f', '');
    const { atime, mtime, ctime } = await sys.stat('f');
    const after = BigInt(Date.now()) * 1_000_000n + SECOND;
    for (const time of [atime, mtime, ctime]) holds(time > before && time < after, 'now');
  },
  'a new directory has the time of now': async (sys) => {
    const before = BigInt(Date.now()) * 1_000_000n - SECOND;
    await sys.mkdir('d');
    const { mtime } = await sys.stat('d');
    holds(mtime > before && mtime < BigInt(Date.now()) * 1_000_000n + SECOND, 'now');
  },
  'utimensat keeps nanoseconds': async (sys) => {
    await sys.put('f', '');
    await sys.utimens('f', EXACT_TIME, EXACT_TIME + 1n);
    const { atime, mtime } = await sys.stat('f');
    same([atime - EXACT_TIME, mtime - EXACT_TIME], [0n, 1n]);
  },
  'utimensat keeps milliseconds, of directories too': async (sys) => {
    await sys.put('f', '');
    await sys.mkdir('d');
    for (const name of ['f', 'd']) {
      await sys.utimens(name, SOME_TIME, SOME_TIME + 1_000_000n);
      const { atime, mtime } = await sys.stat(name);
      same([atime, mtime], [SOME_TIME, SOME_TIME + 1_000_000n]);
    }
  },
  'UTIME_OMIT leaves a time as it is': async (sys) => {
    await sys.put('f', '');
    await sys.utimens('f', 5n * SECOND, 6n * SECOND);
    await sys.utimens('f', 'omit', 7n * SECOND);
    await sys.utimens('f', 8n * SECOND, 'omit');
    const { atime, mtime } = await sys.stat('f');
    same([atime, mtime], [8n * SECOND, 7n * SECOND]);
  },
  'UTIME_NOW sets the time of now': async (sys) => {
    await sys.put('f', '');
    await sys.utimens('f', 5n * SECOND, 6n * SECOND);
    await sys.utimens('f', 'omit', 'now');
    const { atime, mtime } = await sys.stat('f');
    same(atime, 5n * SECOND);
    holds(mtime > BigInt(Date.now() - 10_000) * 1_000_000n, 'mtime is now');
  },
  'times before 1970 and after 2038 are kept': async (sys) => {
    await sys.put('f', '');
    for (const time of [-SECOND, -86_400n * SECOND, 0n, 4_000_000_000n * SECOND]) {
      await sys.utimens('f', time, time);
      const { atime, mtime } = await sys.stat('f');
      same([atime, mtime], [time, time]);
    }
  },
  'futimens changes an open file': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    const times = Buffer.alloc(32);
    times.writeBigInt64LE(5n, 0);
    times.writeBigInt64LE(6n, 16);
    await sys.call('utimensat', fd, 0, times, 0);
    same((await sys.fstat(fd)).mtime, 6n * SECOND);
    await sys.close(fd);
    same((await sys.stat('f')).mtime, 6n * SECOND);
  },
  'a time that was set while a file was written stays after close': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.utimens('f', SOME_TIME, SOME_TIME);
    await sys.close(fd);
    same((await sys.stat('f')).mtime, SOME_TIME);
  },
  'utimensat changes ctime': async (sys) => {
    await sys.put('f', '');
    same(await changed(sys, 'f', async () => await sys.utimens('f', 5n * SECOND, 'omit')), [
      'ctime',
    ]);
  },
  'utimensat of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.utimens('f', 1n, 1n));
  },
  'utimensat with too many nanoseconds is refused with EINVAL': async (sys) => {
    await sys.put('f', '');
    const times = Buffer.alloc(32);
    times.writeBigInt64LE(2_000_000_000n, 8);
    await refuses('EINVAL', sys.call('utimensat', -100, 'f', times, 0));
  },
  'a write changes mtime and ctime': async (sys) => {
    await sys.put('f', 'content');
    const write = async (): Promise<unknown> =>
      await sys.with('f', O.WRONLY, async (fd) => await sys.write(fd, 'C'));
    same(await changed(sys, 'f', write), both);
  },
  'a write is seen in mtime before the file is closed': async (sys) => {
    const fd = await sys.create('f');
    same(await changed(sys, 'f', async () => await sys.write(fd, 'content')), both);
    same(await changed(sys, 'f', async () => await sys.write(fd, 'content')), both);
    await sys.close(fd);
  },
  'close and reading change neither mtime nor ctime': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    same(await changed(sys, 'f', async () => await sys.close(fd)), []);
    same(await changed(sys, 'f', async () => await sys.text('f')), []);
  },
  'open for writing without a write changes no time': async (sys) => {
    await sys.put('f', 'content');
    const openAlone = async (): Promise<void> => await sys.close(await sys.open('f', O.RDWR));
    same(await changed(sys, 'f', openAlone), []);
  },
  'truncate changes mtime and ctime': async (sys) => {
    await sys.put('f', 'content');
    same(await changed(sys, 'f', async () => await sys.truncate('f', 3)), both);
    same(await changed(sys, 'f', async () => await sys.truncate('f', 10)), both);
  },
  'O_TRUNC of a file with content changes mtime and ctime': async (sys) => {
    await sys.put('f', 'content');
    same(await changed(sys, 'f', async () => await sys.put('f', '')), both);
  },
  'chmod and chown change ctime alone': async (sys) => {
    await sys.put('f', '');
    same(await changed(sys, 'f', async () => await sys.chmod('f', 0o600)), ['ctime']);
    same(await changed(sys, 'f', async () => await sys.chown('f', USER, -1)), ['ctime']);
  },
  'mtime does not change by chmod, for a directory neither': async (sys) => {
    await sys.mkdir('d');
    same(await changed(sys, 'd', async () => await sys.chmod('d', 0o700)), ['ctime']);
  },
  'rename keeps the mtime of a file': async (sys) => {
    await sys.put('f', 'content');
    const before = await sys.stat('f');
    await sys.tick();
    await sys.rename('f', 'g');
    same((await sys.stat('g')).mtime, before.mtime);
  },
  'a new file changes the mtime of its directory': async (sys) => {
    await sys.mkdir('d');
    same(await changed(sys, 'd', async () => await sys.put('d/f', '')), both);
  },
  'mkdir, rmdir and unlink change the mtime of the directory': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', '');
    same(await changed(sys, 'd', async () => await sys.mkdir('d/e')), both);
    same(await changed(sys, 'd', async () => await sys.rmdir('d/e')), both);
    same(await changed(sys, 'd', async () => await sys.unlink('d/f')), both);
  },
  'rename changes the mtime of both directories': async (sys) => {
    await sys.mkdir('d');
    await sys.mkdir('e');
    await sys.put('d/f', '');
    const before = await sys.stat('e');
    same(await changed(sys, 'd', async () => await sys.rename('d/f', 'e/f')), both);
    holds((await sys.stat('e')).mtime > before.mtime, 'the mtime of the other one changed');
  },
  'a write into a file leaves the mtime of its directory': async (sys) => {
    await sys.mkdir('d');
    await sys.put('d/f', '');
    same(await changed(sys, 'd', async () => await sys.put('d/f', 'content')), []);
  },
  'atime never goes back by reading': async (sys) => {
    await sys.put('f', 'content');
    const before = await sys.stat('f');
    await sys.tick();
    await sys.text('f');
    holds((await sys.stat('f')).atime >= before.atime, 'atime stays or grows');
  },
  'O_NOATIME leaves atime as it is': async (sys) => {
    await sys.put('f', 'content');
    await sys.utimens('f', 5n * SECOND, 'omit');
    await sys.with('f', O.RDONLY | O.NOATIME, async (fd) => await sys.read(fd, 10));
    same((await sys.stat('f')).atime, 5n * SECOND);
  },
  'times grow in the order of writes': async (sys) => {
    await sys.put('a', 'a');
    await sys.tick();
    await sys.put('b', 'b');
    holds((await sys.stat('a')).mtime < (await sys.stat('b')).mtime, 'the second is newer');
  },
  'fstat and stat agree on times while a file is written': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    const [open, named] = [await sys.fstat(fd), await sys.stat('f')];
    same([open.mtime, open.ctime], [named.mtime, named.ctime]);
    await sys.close(fd);
  },
};
