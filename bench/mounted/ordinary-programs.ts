/** What people run on files, timed from outside. */
import { writeFile } from 'node:fs/promises';
import { run } from '../../scripts/demo/programs.ts';

const MS_PER_SECOND = 1000;

async function seconds(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const started = performance.now();
  await run(program, args, signal);
  return (performance.now() - started) / MS_PER_SECOND;
}

/** One dd of the first `mib` MiB. */
export async function readFile(path: string, mib: number, signal: AbortSignal): Promise<number> {
  const args = [`if=${path}`, 'of=/dev/null', 'bs=1M', `count=${mib}`, 'status=none'];
  return await seconds('dd', args, signal);
}

/** One dd of the file `from` to a new file, until it is closed. */
export async function copyFile(from: string, to: string, signal: AbortSignal): Promise<number> {
  const args = [`if=${from}`, `of=${to}`, 'bs=1M', 'conv=excl', 'status=none'];
  return await seconds('dd', args, signal);
}

/** `tar xf ARCHIVE` in `folder`. */
export async function untar(archive: string, folder: string, signal: AbortSignal): Promise<number> {
  return await seconds('tar', ['-x', '-f', archive, '-C', folder], signal);
}

/** `ls ...options PATH`, into nothing. */
export async function list(
  path: string,
  options: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const toNothing = 'exec ls "$@" > /dev/null';
  return await seconds('sh', ['-c', toNothing, 'sh', ...options, path], signal);
}

/** `find PATH -type f`, into nothing. */
export async function find(path: string, signal: AbortSignal): Promise<number> {
  const toNothing = 'exec find "$1" -type f > /dev/null';
  return await seconds('sh', ['-c', toNothing, 'sh', path], signal);
}

/** The kernel forgets clean pages, names and inodes of all files; root only. */
export async function dropCaches(signal: AbortSignal): Promise<void> {
  await run('sync', [], signal);
  await writeFile('/proc/sys/vm/drop_caches', '3');
}
