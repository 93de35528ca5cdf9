import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { ServerGroup } from '../../scripts/servers/server-group.ts';

const signal = AbortSignal.timeout(60_000);
const POLL = { timeout: 10_000, interval: 100 };

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** A zombie counts as gone: it only waits for its parent. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !stat.includes(') Z ');
}

/** Starts a server, says its folder and pid, and waits to be killed. */
const OWNER = `
const { ServerGroup } = await import(process.argv[1]);
const group = await ServerGroup.create('test');
const server = group.start('sleeper', 'sh', ['-c', 'echo $$; exec sleep 1000']);
console.log(group.folder);
console.log(server.logFile);
setInterval(() => undefined, 1000);
`;

const STUBBORN = `
process.on('SIGTERM', () => undefined);
setInterval(() => undefined, 1000);
console.log(process.pid);
`;

describe('a group of servers', () => {
  it('leaves no process and no folder when whoever started it is killed', async () => {
    const module = resolve('build/scripts/servers/server-group.js');
    const args = ['--input-type=module', '-e', OWNER, module];
    const owner: ChildProcess = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      signal,
    });
    if (owner.stdout === null) throw new Error('no pipe');
    const [folder = '', logFile = ''] = await firstLines(owner.stdout, 2);
    const pid = async (): Promise<number> => Number(await readFile(logFile, 'utf8'));
    await expect.poll(pid, POLL).toBeGreaterThan(1);
    const sleeper = await pid();
    expect([await isThere(folder), await isRunning(sleeper)]).toEqual([true, true]);
    const ended = once(owner, 'exit');
    owner.kill('SIGKILL');
    await ended.catch(() => undefined);
    await expect.poll(async () => await isRunning(sleeper), POLL).toBe(false);
    await expect.poll(async () => await isThere(folder), POLL).toBe(false);
  });

  it('tells the end of the log of a server that ends before it is ready', async () => {
    const group = await ServerGroup.create('test');
    try {
      const server = group.start('broken', 'sh', ['-c', 'echo the port is taken >&2; exit 1']);
      const ready = group.ready(server, async () => await Promise.resolve(false), 10_000, signal);
      await expect(ready).rejects.toThrow('broken ended:\nthe port is taken');
      const missing = group.start('missing', '/no/such/program', []);
      const never = group.ready(missing, async () => await Promise.resolve(false), 10_000, signal);
      await expect(never).rejects.toThrow('missing ended');
    } finally {
      await group[Symbol.asyncDispose]();
    }
    expect(await isThere(group.folder)).toBe(false);
  });

  it('ends a server that does not want to', async () => {
    const group = await ServerGroup.create('test');
    const server = group.start('stubborn', process.execPath, ['-e', STUBBORN]);
    const pid = async (): Promise<number> => Number(await readFile(server.logFile, 'utf8'));
    await expect.poll(pid, POLL).toBeGreaterThan(1);
    const stubborn = await pid();
    await group[Symbol.asyncDispose]();
    expect([await isThere(group.folder), await isRunning(stubborn)]).toEqual([false, false]);
  });
});

async function firstLines(stream: NodeJS.ReadableStream, count: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface(stream)) {
    lines.push(line);
    if (lines.length === count) break;
  }
  return lines;
}
