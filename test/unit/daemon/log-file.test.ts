import { appendFileSync, existsSync, renameSync, truncateSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLogFile } from '../../../src/daemon/log-file.ts';
import { followLog, type LogTail, readLogTail } from '../../../src/daemon/log-reader.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

const LARGE = 10 * 1024 * 1024 + 1;
const all = (): boolean => true;

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wire-log-'));
  path = join(folder, 'wire.log');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('a log that lives for months', () => {
  it('is begun anew when it is large, by the process that has it open', async () => {
    using write = openLogFile(path);
    write('old');
    truncateSync(path, LARGE);
    write('new');
    expect(await readFile(path, 'utf8')).toBe('new\n');
    expect((await stat(`${path}.1`)).size).toBe(LARGE);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    write('more');
    expect(await readFile(path, 'utf8')).toBe('new\nmore\n');
  });

  it('loses no line of others who have it open: they go over to the new one', async () => {
    using one = openLogFile(path);
    using other = openLogFile(path);
    one('1');
    other('2');
    truncateSync(path, LARGE);
    other('3');
    one('4');
    other('5');
    expect(await readFile(path, 'utf8')).toBe('3\n4\n5\n');
    // Once for both: the second one did not put the new file in the place of the old.
    expect((await stat(`${path}.1`)).size).toBe(LARGE);
  });

  it('goes on in a new file when somebody took it away, and follows no link put in its place', async () => {
    using write = openLogFile(path);
    write('gone');
    await unlink(path);
    write('there');
    expect(await readFile(path, 'utf8')).toBe('there\n');
    await unlink(path);
    await writeFile(join(folder, 'theirs'), '');
    await symlink(join(folder, 'theirs'), path);
    write('nowhere');
    expect(await readFile(join(folder, 'theirs'), 'utf8')).toBe('');
  });

  it('that is a device stays one', () => {
    using write = openLogFile('/dev/null');
    expect(() => write('x')).not.toThrow();
    expect(existsSync('/dev/null.1')).toBe(false);
  });
});

describe('the end of the log', () => {
  const lines = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, at) => `line ${from + at}\n`).join('');
  const last = ({ lines: found }: LogTail, count: number): readonly string[] => found.slice(-count);

  it('is what was written last, whole lines, with what was put aside where that is needed', async () => {
    await writeFile(`${path}.1`, lines(0, 10));
    await writeFile(path, `${lines(10, 20)}half a li`);
    const tail = await readLogTail(path, 3, all);
    expect(last(tail, 3)).toEqual(['line 17', 'line 18', 'line 19']);
    expect(tail.lines).not.toContain('line 9');
    const more = await readLogTail(path, 12, all);
    expect(last(more, 12)).toHaveLength(12);
    expect(last(more, 12)[0]).toBe('line 8');
    expect(more.end.offset).toBe(lines(10, 20).length);
  });

  it('of a long log is found without reading all of it, and as far back as is wanted', async () => {
    await writeFile(path, lines(0, 100_000));
    const few = await readLogTail(path, 5, all);
    expect(few.lines.length).toBeLessThan(50_000);
    expect(few.lines[0]).toMatch(/^line \d+$/);
    expect(last(few, 1)).toEqual(['line 99999']);
    const one = await readLogTail(path, 1, (line) => line === 'line 7');
    expect(one.lines).toContain('line 7');
  });

  it('of no log is nothing, and so is that of an empty one', async () => {
    expect((await readLogTail(path, 5, all)).lines).toEqual([]);
    await writeFile(path, '');
    expect((await readLogTail(path, 5, all)).lines).toEqual([]);
  });
});

describe('following the log', () => {
  /** Collects until told to stop. */
  function follow(from: LogTail, clock = systemClock) {
    const abort = new AbortController();
    const seen: string[] = [];
    const ended = (async () => {
      for await (const lines of followLog(path, from.end, clock, abort.signal)) seen.push(...lines);
    })();
    return {
      seen,
      stop: async () => {
        abort.abort();
        await ended;
      },
    };
  }

  it('gives lines as they come, each once and whole, also when a line comes in pieces', async () => {
    await writeFile(path, 'old\nbeg');
    const { seen, stop } = follow(await readLogTail(path, 0, all));
    appendFileSync(path, 'un\nb');
    await expect.poll(() => seen).toEqual(['begun']);
    appendFileSync(path, 'oth ä'.normalize('NFC'));
    appendFileSync(path, '\nlast\n');
    await expect.poll(() => seen).toEqual(['begun', 'both ä', 'last']);
    await stop();
  });

  it('goes on in the file that takes the place of this one, and misses nothing of either', async () => {
    using write = openLogFile(path);
    write('before');
    const { seen, stop } = follow(await readLogTail(path, 0, all));
    for (let round = 0; round < 3; round += 1) {
      write(`last of ${round}`);
      renameSync(path, `${path}.1`);
      write(`first after ${round}`);
      await expect.poll(() => seen.at(-1)).toBe(`first after ${round}`);
    }
    expect(seen).toEqual(
      [0, 1, 2].flatMap((round) => [`last of ${round}`, `first after ${round}`]),
    );
    await stop();
  });

  it('begins where the reader was, also when the log was put aside since', async () => {
    await writeFile(path, 'read\n');
    const tail = await readLogTail(path, 0, all);
    appendFileSync(path, 'not yet\n');
    renameSync(path, `${path}.1`);
    await writeFile(path, 'quite a bit newer\n');
    const { seen, stop } = follow(tail);
    await expect.poll(() => seen).toEqual(['not yet', 'quite a bit newer']);
    await stop();
  });

  it('begins again in a log that was emptied, and waits for one that is not there', async () => {
    const { seen, stop } = follow(await readLogTail(path, 0, all));
    await writeFile(path, 'one\ntwo\n');
    await expect.poll(() => seen).toEqual(['one', 'two']);
    truncateSync(path, 0);
    await expect.poll(() => seen.length === 2).toBe(true);
    appendFileSync(path, 'a\n');
    await expect.poll(() => seen).toEqual(['one', 'two', 'a']);
    await stop();
  });

  it('looks by itself where nobody tells of changes', async () => {
    const clock = new FakeClock();
    // A folder that is not there cannot be watched.
    await rm(folder, { recursive: true });
    const { seen, stop } = follow({ lines: [], end: { inode: 0, offset: 0 } }, clock);
    await clock.sleeper();
    folder = await mkdtemp(join(tmpdir(), 'wire-log-'));
    renameSync(folder, join(path, '..'));
    folder = join(path, '..');
    await writeFile(path, 'found\n');
    await clock.advance(1000);
    await expect.poll(() => seen).toEqual(['found']);
    await stop();
  });
});
