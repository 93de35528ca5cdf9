/** What a process has cost so far, as the kernel counts it (proc(5)). */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB, MiB } from '../src/lib/bytes.ts';

const NS_PER_US = 1000;

/** Time on a processor, of all threads that are there, in us. The scheduler counts in ns. */
export async function cpuUsOf(pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`;
  let total = 0;
  for (const task of await readdir(tasks)) {
    const stat = await readFile(join(tasks, task, 'schedstat'), 'utf8').catch(() => '0');
    total += Number(stat.split(' ')[0]) / NS_PER_US;
  }
  return total;
}

/** Memory in use (`VmRSS`) or the most there ever was (`VmHWM`), in MB of 2^20 bytes. */
export async function memoryMbOf(pid: number, what: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = new RegExp(`^${what}:\\s+(\\d+)`, 'm').exec(status)?.[1];
  return (Number(kib) * KiB) / MiB;
}
