import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/lib/clock.ts';
import { startOfProcess } from '../../../src/lib/process-start.ts';

/** More than any pid: Linux has at most 2^22. */
const NOBODY = 2 ** 23;

describe('startOfProcess', () => {
  it('is the same for a process each time, and nothing for none', () => {
    expect(startOfProcess(process.pid)).toMatch(/^\d+$/);
    expect(startOfProcess(process.pid)).toBe(startOfProcess(process.pid));
    expect(startOfProcess(NOBODY)).toBe('');
  });

  it('is nothing for a process that has ended and waits to be asked for', async () => {
    // The shell is replaced by a program that never asks for its child, and only then the child
    // is ended: a shell may ask at any time.
    const parent = spawn('sh', ['-c', 'sleep 30 & echo $!; exec sleep 30'], { stdio: 'pipe' });
    try {
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const child = Number(line.toString());
      await untilFileHolds(`/proc/${parent.pid}/comm`, 'sleep');
      process.kill(child, 'SIGKILL');
      await untilFileHolds(`/proc/${child}/stat`, ') Z ');
      expect(startOfProcess(child)).toBe('');
    } finally {
      parent.kill('SIGKILL');
    }
  });
});

/** Resolves once the file at `path` holds `text`; rejects after 10 s. */
async function untilFileHolds(path: string, text: string): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  while (!(await readFile(path, 'utf8')).includes(text)) {
    await systemClock.sleep(5, signal);
  }
}
