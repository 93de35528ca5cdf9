import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseAbsolutePath,
  parseBytes,
  parseBytesFrom,
  parseChoice,
  parseMetricsPlace,
  parseMs,
  parseName,
  parseScopes,
  parseSeconds,
  parseUrl,
  parseWord,
} from '../../../src/config/values.ts';

function valueOf<T>(parsed: { ok: true; value: T } | { ok: false; fault: string }): T | undefined {
  return parsed.ok ? parsed.value : undefined;
}

describe('parseUrl', () => {
  it.each([
    'https://iam.example',
    'https://s3.example:9000/path',
    'http://127.0.0.1:9000',
    'http://localhost',
    'http://[::1]:80',
  ])('takes %s as it is', (url) => expect(valueOf(parseUrl(url))).toBe(url));

  it.each([
    ['iam.example', 'not a URL'],
    ['ftp://iam.example', 'not a web address'],
    ['http://iam.example', 'in clear'],
    ['http://127.0.0.1.evil.example', 'in clear'],
    ['http://localhost.evil.example', 'in clear'],
    ['https://user:word@iam.example', 'user or password'],
    ['https://iam.example?x=1', '?query'],
    ['https://iam.example#x', '?query'],
    ['', 'not a URL'],
  ])('refuses %j: %s', (url, why) => {
    expect(parseUrl(url)).toEqual({ ok: false, fault: expect.stringContaining(why) as string });
  });
});

describe('parseSeconds', () => {
  it.each([
    ['3600', 3600],
    ['3600s', 3600],
    ['60m', 3600],
    ['1h', 3600],
  ])('reads %s', (text, seconds) => expect(valueOf(parseSeconds(text))).toBe(seconds));

  it.each(['', '0', '0s', '-1', '1d', '1.5h', ' 1', '1e3', '9999999999'])('refuses %j', (text) => {
    expect(parseSeconds(text).ok).toBe(false);
  });
});

describe('parseMs', () => {
  it.each([
    ['500ms', 500],
    ['0s', 0],
    ['1s', 1000],
    ['10m', 600_000],
    ['1h', 3_600_000],
  ])('reads %s', (text, ms) => expect(valueOf(parseMs(text))).toBe(ms));

  it.each(['', '1', '-1s', '1d', '1.5s', ' 1s'])('refuses %j', (text) => {
    expect(parseMs(text).ok).toBe(false);
  });
});

describe('parseMetricsPlace', () => {
  it.each([
    ['on', 0],
    ['off', 'off'],
    ['9345', 9345],
    ['127.0.0.1:9345', 9345],
    ['localhost:9345', 9345],
  ])('reads %s', (text, place) => expect(valueOf(parseMetricsPlace(text))).toBe(place));

  it.each(['', '0', '70000', '0.0.0.0:9345', '[::]:9345', ':9345', 'host:9345', '127.0.0.1:'])(
    'serves no other place: %j',
    (text) => expect(parseMetricsPlace(text).ok).toBe(false),
  );
});

describe('parseBytes', () => {
  it.each([
    ['1048576', 1_048_576],
    ['10k', 10_240],
    ['48M', 50_331_648],
    ['48MiB', 50_331_648],
    ['10G', 10_737_418_240],
    ['2tb', 2_199_023_255_552],
    ['7B', 7],
  ])('reads %s', (text, bytes) => expect(valueOf(parseBytes(text))).toBe(bytes));

  it.each(['', '0', '-1M', '1.5G', 'M', '10X', '10 M', '999999999999999T'])(
    'refuses %j',
    (text) => {
      expect(parseBytes(text).ok).toBe(false);
    },
  );

  it('refuses less than what is needed, naming that', () => {
    expect(parseBytesFrom(1024)('1023')).toEqual({ ok: false, fault: 'must be at least 1.0 KiB' });
    expect(valueOf(parseBytesFrom(1024)('1024'))).toBe(1024);
  });
});

describe('parseChoice', () => {
  it('takes one of its words, and names them otherwise', () => {
    const parse = parseChoice(['off', 'full']);
    expect(valueOf(parse('full'))).toBe('full');
    expect(parse('Full')).toEqual({ ok: false, fault: 'is none of off, full' });
  });
});

describe('parseScopes', () => {
  it('reads words, however many spaces lie between them', () => {
    expect(valueOf(parseScopes(' openid   wlcg.groups:/x '))).toEqual(['openid', 'wlcg.groups:/x']);
  });

  it.each(['', '  ', 'a"b', 'a\\b', 'ä'])('refuses %j', (text) => {
    expect(parseScopes(text).ok).toBe(false);
  });
});

describe('parseName and parseWord', () => {
  it('a name is never a path, a flag or a SOURCE', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const name = parseName(text);
        if (name.ok) expect(text).not.toMatch(/[/:\s]|^[-.]/);
      }),
    );
  });

  it('a word has no space, no control character, and is there', () => {
    for (const text of ['', 'a b', 'a\n', '\x1b[31m']) expect(parseWord(text).ok).toBe(false);
    expect(valueOf(parseWord('arn:aws:iam::123:role/x'))).toBe('arn:aws:iam::123:role/x');
  });
});

describe('parseAbsolutePath', () => {
  it.each([
    ['/data', '/data'],
    ['~', '/home/u'],
    ['~/data', '/home/u/data'],
  ])('reads %s as %s', (text, path) => {
    expect(valueOf(parseAbsolutePath(text, '/home/u'))).toBe(path);
  });

  it('refuses what depends on the working folder, and ~ without a home', () => {
    for (const text of ['data', './data', '~user/data', '']) {
      expect(parseAbsolutePath(text, '/home/u').ok).toBe(false);
    }
    expect(parseAbsolutePath('~/data', undefined).ok).toBe(false);
  });
});
