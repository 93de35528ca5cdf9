import { EventEmitter } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DETACHED_VARIABLE,
  receiveSecrets,
  startDetached,
  starterOf,
} from '../../../src/daemon/detach.ts';
import { redactKnown } from '../../../src/lib/secret.ts';
import { FakeSignals } from './fake-mounts.ts';

let folder = '';

/** Runs `script` as the child. */
async function startScript(script: string, signals = new FakeSignals(), more = {}) {
  const logFile = join(folder, 'wire.log');
  const environment = { PATH: process.env['PATH'], SECRET: undefined, ...more };
  return await startDetached({ command: ['-e', script], environment, logFile }, signals);
}

const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

describe('startDetached', () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-detach-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('returns when the child says ready, and the child lives on without us', async () => {
    // The child ends by itself: a failed test must leave no process behind.
    const report = await startScript(`
      process.send({ outcome: 'ready', lines: [String(process.pid)] });
      process.once('disconnect', () => setTimeout(() => process.exit(), 300));
      setTimeout(() => process.exit(), 5000);
    `);
    expect(report).toMatchObject({ outcome: 'ready' });
    const pid = Number(report.outcome === 'ready' ? report.lines[0] : 0);
    expect(isGone(pid)).toBe(false);
    // Its own session: the terminal's signals do not reach it.
    const [, , , , , session] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(' ');
    expect(Number(session)).toBe(pid);
  });

  it('gives secrets of the environment to the child that asks, and to no place in /proc', async () => {
    const script = `
      const shown = require('node:fs').readFileSync('/proc/self/environ', 'latin1');
      process.once('message', ({ secrets }) => {
        process.send({ outcome: 'ready', lines: [JSON.stringify(secrets), shown] });
        process.disconnect();
      });
      process.send({ ask: 'secrets' });
    `;
    const variables = { BEARER_TOKEN: 'the-bearer-token', BEARER_TOKEN_FILE: '/run/token' };
    const report = await startScript(script, new FakeSignals(), variables);
    const [told = '', shown = ''] = report.outcome === 'ready' ? report.lines : [];
    expect(JSON.parse(told)).toEqual({ BEARER_TOKEN: 'the-bearer-token' });
    expect(shown).toContain('BEARER_TOKEN_FILE=/run/token');
    expect(shown).not.toContain('the-bearer-token');
  });

  it('hands on why the child could not, with its exit code', async () => {
    const script = `process.send({ outcome: 'failed', line: 'no such bucket', exitCode: 9 })`;
    expect(await startScript(`${script}; process.disconnect();`)).toEqual({
      outcome: 'failed',
      line: 'no such bucket',
      exitCode: 9,
    });
  });

  it('a child that dies without a word is told with its code and where its log is', async () => {
    const report = await startScript(`console.error('ouch'); process.exit(3)`);
    const logFile = join(folder, 'wire.log');
    expect(report).toEqual({
      outcome: 'failed',
      line: `cannot start in the background: the process ended with 3; see ${logFile}`,
      exitCode: 3,
    });
    expect(await readFile(logFile, 'utf8')).toContain('ouch');
    expect((await stat(logFile)).mode & 0o777).toBe(0o600);
  });

  it('a child that ends well without a word has failed all the same', async () => {
    expect(await startScript('')).toMatchObject({ outcome: 'failed', exitCode: 1 });
  });

  it('takes nothing unintelligible for ready', async () => {
    for (const message of ['{}', `'ready'`, `{ outcome: 'ready' }`, '[]']) {
      const report = await startScript(`process.send(${message}); process.disconnect();`);
      expect(report).toMatchObject({ outcome: 'failed', exitCode: 1 });
    }
  });

  it('a signal before ready goes to the child, whose answer is waited for', async () => {
    const signals = new FakeSignals();
    const started = startScript(
      `
      process.once('SIGTERM', () => {
        process.send({ outcome: 'failed', line: 'interrupted', exitCode: 130 });
        process.disconnect();
      });
      require('fs').writeFileSync(${JSON.stringify(join(folder, 'up'))}, '');
      setTimeout(() => process.exit(), 10000);
    `,
      signals,
    );
    while (!(await stat(join(folder, 'up')).catch(() => undefined)))
      await new Promise(setImmediate);
    signals.send('SIGINT');
    expect(await started).toEqual({ outcome: 'failed', line: 'interrupted', exitCode: 130 });
    expect(signals.listening).toBe(0);
  });
});

describe('starterOf', () => {
  class Child extends EventEmitter {
    connected = true;
    readonly sent: unknown[] = [];
    readonly env: Record<string, string> = { [DETACHED_VARIABLE]: '1' };

    send(message: unknown, done?: () => void): void {
      this.sent.push(message);
      done?.();
    }

    disconnect(): void {
      this.connected = false;
      this.emit('disconnect');
    }
  }
  const starterIn = (child: Child) => starterOf(child as unknown as NodeJS.Process);

  it('is there only for a child that was started so', () => {
    const child = new Child();
    expect(starterIn(child)).toBeDefined();
    // What the child starts is not taken for one that somebody waits for.
    expect(child.env).toEqual({});
    expect(starterIn(child)).toBeUndefined();
  });

  it('is told once, and then let go', async () => {
    const child = new Child();
    const starter = starterIn(child);
    await starter?.report({ outcome: 'ready', lines: [] });
    expect([child.sent, child.connected]).toEqual([[{ outcome: 'ready', lines: [] }], false]);
    expect(starter?.lost.aborted).toBe(false);
    await starter?.report({ outcome: 'ready', lines: [] });
    expect(child.sent).toHaveLength(1);
  });

  it('one that goes away before it was told ends the work', () => {
    const child = new Child();
    const starter = starterIn(child);
    child.disconnect();
    expect(starter?.lost.reason).toMatchObject({ kind: 'interrupted' });
  });

  it('that was gone before anybody looked ends the work as well', () => {
    const child = new Child();
    child.connected = false;
    expect(starterIn(child)?.lost.aborted).toBe(true);
  });

  const secretsIn = async (child: Child) =>
    await receiveSecrets(child as unknown as NodeJS.Process);

  it('tells the secrets of its environment when asked', async () => {
    const child = new Child();
    const receiving = secretsIn(child);
    expect(child.sent).toEqual([{ ask: 'secrets' }]);
    child.emit('message', { secrets: { ACCESS_TOKEN: 'the-access-token' } });
    expect(await receiving).toEqual({ ACCESS_TOKEN: 'the-access-token' });
    expect(redactKnown('the-access-token')).toBe('[secret]');
  });

  it('that goes away or speaks nonsense instead tells none', async () => {
    const left = new Child();
    const leaving = secretsIn(left);
    left.disconnect();
    expect(await leaving).toEqual({});
    const mad = new Child();
    const hearing = secretsIn(mad);
    mad.emit('message', 'secrets');
    expect(await hearing).toEqual({});
    mad.env[DETACHED_VARIABLE] = '';
    expect(await secretsIn(mad)).toEqual({});
  });
});
