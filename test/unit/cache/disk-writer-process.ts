/**
 * A process that keeps blocks on the disk until it is killed. Arguments: folder, `clear` or
 * `sealed`, and the number of the system call before which it kills itself, or 0: it then goes on,
 * for at most a minute. Prints a line when it has begun, and one when all is written.
 */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { MiB } from '../../../src/lib/bytes.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { dyingObjects } from './disk-dying-objects.ts';
import { BLOCK, blocksOf, truths } from './disk-fixture.ts';

const [folder = '', how = '', deadly = '0'] = process.argv.slice(2);
const signal = AbortSignal.timeout(60_000);

/** Calls that change the disk are counted from when the folder is being prepared. */
let calls = 0;
function count(): void {
  calls += 1;
  if (calls === Number(deadly)) process.kill(process.pid, 'SIGKILL');
}
function counted<T extends object>(module: T, names: readonly (keyof T)[]): void {
  for (const name of names) {
    const real = module[name] as (...given: unknown[]) => unknown;
    const counting = (...given: unknown[]): unknown => {
      count();
      return real(...given);
    };
    Object.assign(module, { [name]: counting });
  }
}
counted(fs, ['open', 'ftruncate', 'close']);
counted(promises, ['mkdir', 'open', 'rename', 'unlink']);
// These have a promise's shape of their own.
const { writev } = fs;
Object.assign(fs, {
  writev: (fd: number, pieces: readonly Uint8Array[], at: number, done: () => void) => {
    count();
    writev(fd, pieces, at, done);
  },
});
Object.defineProperty(fs.writev, Symbol.for('nodejs.util.promisify.custom'), {
  value: async (fd: number, pieces: readonly Uint8Array[], at: number) =>
    await new Promise((resolve, reject) => {
      fs.writev(fd, pieces, at, (error, bytesWritten) => {
        if (error === null) resolve({ bytesWritten });
        else reject(error);
      });
    }),
});
syncBuiltinESMExports();
const { DiskCache } = await import('../../../src/cache/disk-cache.ts');

const cache = await DiskCache.open(
  {
    folder,
    owner: 'alice',
    ...(how === 'sealed' ? { key: Buffer.alloc(32, 7) } : {}),
    blockBytes: BLOCK,
    quotaBytes: deadly === '0' ? MiB : 64 * MiB,
    freeBytes: 0,
    clock: systemClock,
    log: silentLog,
  },
  signal,
);
process.stdout.write('begun\n');
do {
  for (const object of dyingObjects) {
    await using opened = await cache.open(object, signal);
    for (let first = 0; first < blocksOf(object); first += 3) {
      const most = Math.min(3, blocksOf(object) - first);
      await opened.write(first, truths(object, first, most));
    }
  }
  if (deadly === '0') await cache.contents.clear({ prefix: 'o/1' }, signal);
} while (deadly === '0' && !signal.aborted);
await cache[Symbol.asyncDispose]();
process.stdout.write('written\n');
