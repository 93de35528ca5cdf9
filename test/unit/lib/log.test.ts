import { describe, expect, it } from 'vitest';
import { createLog, type LogLevel } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';

function recorded(level: LogLevel): { lines: Record<string, unknown>[]; text: string[] } & {
  log: ReturnType<typeof createLog>;
} {
  const lines: Record<string, unknown>[] = [];
  const text: string[] = [];
  const sink = (line: string): void => {
    text.push(line);
    lines.push(JSON.parse(line) as Record<string, unknown>);
  };
  return { lines, text, log: createLog(sink, level, () => 0) };
}

describe('createLog', () => {
  it('writes one JSON object a line, with time, level, event and fields', () => {
    const { lines, log } = recorded('info');
    log.with({ mount: 'm' }).info('ready', { bytes: 3 });
    expect(lines).toEqual([
      { time: '1970-01-01T00:00:00.000Z', level: 'info', event: 'ready', mount: 'm', bytes: 3 },
    ]);
  });

  it('writes of an error what to do next, as the person is told', () => {
    const { lines, log } = recorded('info');
    const facts = { tried: 'save', answered: 'no more time', next: 'see: wire recover --list' };
    log.error('mount ended', { error: new WireError('not-saved', facts) });
    expect(lines[0]?.['error']).toEqual({
      name: 'WireError',
      message: 'cannot save: no more time',
      next: 'see: wire recover --list',
    });
  });

  it('keeps what is at least as important as its level', () => {
    const { lines, log } = recorded('warn');
    for (const level of ['error', 'warn', 'info', 'debug', 'trace'] as const) log[level](level);
    expect(lines.map((line) => line['event'])).toEqual(['error', 'warn']);
  });

  it('shows errors with their causes, and never a secret', () => {
    const { text, log } = recorded('trace');
    const cause = new Error('inner');
    log.error('failed', { error: new Error('outer', { cause }), token: new Secret('t0ken-value') });
    expect(text[0]).toContain('outer');
    expect(text[0]).toContain('inner');
    expect(text[0]).toContain('"token":"[secret]"');
    expect(text[0]).not.toContain('t0ken');
  });

  it('shows no secret that an error, its cause or a server quotes', () => {
    const { text, log } = recorded('trace');
    new Secret('device-code-1234');
    const cause = Object.assign(new Error('Authorization pending for code: device-code-1234'), {
      code: 'E device-code-1234',
    });
    const error = new Error('polling code=device-code-1234', { cause });
    log.with({ context: 'device-code-1234' }).error('on device-code-1234', {
      error,
      stack: error.stack,
      url: new URL('https://iam.example/?code=device-code-1234'),
      nested: { list: ['device-code-1234', { said: 'device-code-1234' }] },
      bytes: Buffer.from('device-code-1234'),
      more: new Uint8Array(3),
    });
    expect(text[0]).not.toContain('device-code-1234');
    expect(text[0]).toContain('pending for code: [secret]');
    expect(text[0]).toContain('"bytes":"[16 bytes]","more":"[3 bytes]"');
  });

  it('writes a line whatever it is given', () => {
    const { lines, log } = recorded('trace');
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const error = new Error('round');
    error.cause = error;
    log.info('circle', { circle });
    log.info('big', { big: 10n ** 20n });
    log.info('causes', { error });
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatchObject({ event: 'circle', level: 'info' });
    expect(lines[1]).toMatchObject({ big: '100000000000000000000' });
  });

  it('keeps a line break inside its one line', () => {
    const { text, log } = recorded('info');
    log.info('said', { words: 'one\ntwo' });
    expect(text).toHaveLength(1);
    expect(text[0]).not.toContain('\n');
  });
});
