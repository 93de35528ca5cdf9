import { appendFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entryLines, isAtLeast, readLogLine } from '../../../src/cli/log-lines.ts';
import { LogView } from '../../../src/cli/log-view.ts';
import { createLog } from '../../../src/lib/log.ts';
import { FakeCli } from './fake-cli.ts';

const plain = (_: string, text: string): string => text;

/** A line as wire writes it. */
function line(
  event: string,
  fields: Readonly<Record<string, unknown>> = {},
  level = 'info',
): string {
  return JSON.stringify({ time: '2026-11-22T17:00:00.500Z', level, event, ...fields });
}

describe('a line of the log', () => {
  it('is time, level, event and its fields, as a person reads them', () => {
    const entry = readLogLine(
      line('ready', { pid: 7, mountPoint: '/m', place: 'the login', n: { a: 1 } }),
    );
    const [text] = entry === undefined ? [] : entryLines(entry, plain);
    expect(text).toMatch(
      /^2026-11-2\d \d\d:\d0:00 info  ready \/m pid=7 place="the login" n=\{"a":1\}$/,
    );
  });

  it('shows an error with what it came of, and a stack below it', () => {
    let written = '';
    const log = createLog(
      (each) => (written = each),
      'info',
      () => 0,
    );
    const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' });
    log.error('failed', {
      error: new Error('no answer', { cause }),
      stack: 'Error: x\n    at here\n    at there',
    });
    const entry = readLogLine(written);
    expect(entry === undefined ? [] : entryLines(entry, plain)).toEqual([
      expect.stringMatching(
        /error failed error="no answer" <- "connect refused" \(ECONNREFUSED\)$/,
      ),
      '    at here',
      '    at there',
    ]);
  });

  it.each([
    '',
    'Warning: something',
    '{"time":1}',
    '{"time":"x","level":"loud","event":"e"}',
    '{',
    '[1]',
    'null',
  ])('that wire did not write is none: %j', (text) => expect(readLogLine(text)).toBeUndefined());

  it('counts as an error when Node wrote it', () => {
    expect(isAtLeast(undefined, 'error')).toBe(true);
    expect(isAtLeast(readLogLine(line('e', {}, 'info')), 'warn')).toBe(false);
    expect(isAtLeast(readLogLine(line('e', {}, 'warn')), 'warn')).toBe(true);
  });
});

describe('the lines of one mount', () => {
  const lines = [
    line('credentials', { pid: 1 }),
    line('attached', { pid: 1, mountPoint: '/a' }),
    line('attached', { pid: 2, mountPoint: '/b' }),
    line('renewed', { pid: 1 }),
    line('renewed', { pid: 2 }),
    line('attached', { pid: 1, mountPoint: '/a/b' }),
    'Node says something',
  ];

  it('are those that name it, and those of its process that name no other', () => {
    const view = new LogView({ mountPoint: '/a', json: true, paint: plain });
    expect(view.last(lines, 10)).toEqual([lines[0], lines[1], lines[3]]);
    expect(view.last(lines, 1)).toEqual([lines[3]]);
    expect(view.next(line('renewed', { pid: 2 }))).toEqual([]);
    const late = line('attached', { pid: 9, mountPoint: '/a' });
    expect(view.next(late)).toEqual([late]);
    expect(view.next(line('renewed', { pid: 9 }))).toHaveLength(1);
  });
});

describe('wire logs', () => {
  let folder = '';
  let path = '';
  const cli = (): FakeCli => {
    const fake = new FakeCli();
    fake.environment = { WIRE_LOG_FILE: path };
    return fake;
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-logs-'));
    path = join(folder, 'wire.log');
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('shows the last lines, as many as are asked for', async () => {
    await writeFile(path, [1, 2, 3].map((n) => `${line('step', { n })}\n`).join(''));
    const { code, stdout } = await cli().run('logs', '-n', '2');
    expect(code).toBe(0);
    expect(stdout.split('\n').map((text) => text.replace(/^.*info +/, ''))).toEqual([
      ...['step n=2', 'step n=3', ''],
    ]);
    expect((await cli().run('logs', '--lines', '0')).stdout).toBe('');
    expect((await cli().run('logs', '--lines', 'some')).code).toBe(2);
  });

  it('gives programs JSON, every line of it', async () => {
    await writeFile(path, `${line('a')}\nFatal: out of memory\n`);
    const { stdout } = await cli().run('logs', '--json');
    const parsed = stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as unknown);
    expect(parsed).toMatchObject([
      { event: 'a' },
      { event: 'output', text: 'Fatal: out of memory' },
    ]);
  });

  it('chooses by importance and by mount', async () => {
    const written = [
      line('ready', { pid: 1, mountPoint: '/cwd/data' }),
      line('bad', { pid: 1, mountPoint: '/cwd/data' }, 'warn'),
      line('bad elsewhere', { pid: 2, mountPoint: '/x' }, 'error'),
    ];
    await writeFile(path, `${written.join('\n')}\n`);
    const found = (await cli().run('logs', '--level', 'warn', '--mount', 'data', '--json')).stdout;
    expect(found).toBe(`${written[1] ?? ''}\n`);
    expect((await cli().run('logs', '--level', 'loud')).code).toBe(2);
    const none = await cli().run('logs', '--mount', '/nowhere');
    expect(none).toMatchObject({ code: 0, stdout: '', stderr: `Nothing of that is in ${path}.\n` });
  });

  it('cannot steer a terminal, nor show what looks like a token', async () => {
    await writeFile(path, `\x1b]0;gone\x07 eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln\n`);
    const fake = cli();
    fake.isTTY = true;
    const { stdout } = await fake.run('logs');
    expect(stdout).toBe('?]0;gone? [secret]\n');
  });

  it('reads another log where one is named, which then has to be there', async () => {
    const other = join(folder, 'other.log');
    await writeFile(other, `${line('other')}\n`);
    expect((await cli().run('logs', '--file', other)).stdout).toContain('other');
    const missing = await cli().run('logs', '--file', join(folder, 'none'));
    expect(missing).toMatchObject({ code: 9, stdout: '' });
    expect(missing.stderr).toMatch(
      /^wire: cannot read .*none: there is no such file; check --file/,
    );
    expect((await cli().run('logs', '--file', folder)).code).toBe(6);
    expect((await cli().run('logs', '--log-file', '-')).code).toBe(2);
  });

  it('goes on until Ctrl-C, and then ends well', async () => {
    await writeFile(path, `${line('before')}\n`);
    const fake = cli();
    fake.printed = (stdout) => {
      if (stdout.includes('after')) fake.signals.send('SIGINT');
      else appendFileSync(path, `${line('after')}\n`);
    };
    const running = fake.run('logs', '-f', '--json');
    const { code, stdout, stderr } = await running;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(`${line('before')}\n${line('after')}\n`);
  });
});
