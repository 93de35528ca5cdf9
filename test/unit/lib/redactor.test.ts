import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Redactor } from '../../../src/lib/redactor.ts';

describe('Redactor', () => {
  it('keeps no value that it has learned', () => {
    const redactor = new Redactor();
    redactor.learn('hunter2hunter2');
    expect(inspect(redactor, { showHidden: true, depth: 9 })).not.toContain('hunter2');
    expect(redactor.size).toBe(1);
  });

  it('holds no more than its capacity, and forgets the oldest first', () => {
    const redactor = new Redactor(3);
    const values = ['secret-0', 'secret-1', 'secret-2', 'secret-3', 'secret-4'];
    for (const value of values) redactor.learn(value);
    redactor.learn('secret-2');
    redactor.learn('secret-5');
    expect(redactor.size).toBe(3);
    expect(redactor.clean(`${values.join(' ')} secret-5`)).toBe(
      'secret-0 secret-1 [secret] secret-3 [secret] [secret]',
    );
  });

  it('counts a value once, however often it is learned', () => {
    const redactor = new Redactor();
    for (let count = 0; count < 100; count++) redactor.learn('the same value');
    expect(redactor.size).toBe(1);
  });

  it('does not learn what is too short to be a secret', () => {
    const redactor = new Redactor();
    redactor.learn('');
    redactor.learn('1234567');
    expect(redactor.size).toBe(0);
    expect(redactor.clean('1234567')).toBe('1234567');
  });

  it('finds two that begin alike, overlap or follow each other', () => {
    const redactor = new Redactor();
    for (const value of ['aaaaaaaaaa', 'aaaaaaaaaab', 'abcdefgh', 'efghijklmn']) {
      redactor.learn(value);
    }
    expect(redactor.clean('xaaaaaaaaaabx')).toBe('x[secret]x');
    expect(redactor.clean('abcdefghijklmn')).toBe('[secret]');
    expect(redactor.clean('abcdefghabcdefgh')).toBe('[secret][secret]');
  });

  const value = 'pl/ain+Secret="Value:12?34';
  const hex = (text: string): string => Buffer.from(text).toString('hex');
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const percent = encodeURIComponent;

  it.each([
    ['percent-encoding', percent(value)],
    ['percent-encoding in lower case', percent(value).replace(/%../g, (run) => run.toLowerCase())],
    ['percent-encoding of every character', hex(value).replace(/../g, '%$&')],
    ['percent-encoding, twice', percent(percent(value))],
    ['percent-encoding, three times', percent(percent(percent(value)))],
    ['JSON in JSON', JSON.stringify(JSON.stringify({ value }))],
    ['JSON in a form', percent(JSON.stringify({ value }))],
    ['XML', value.replaceAll('"', '&quot;').replaceAll('=', '&#61;').replaceAll('+', '&#x2B;')],
    ['XML in JSON', JSON.stringify(`<a b="${value.replaceAll('"', '&quot;')}"/>`)],
    ['hex', hex(value)],
    ['hex in upper case', hex(value).toUpperCase()],
    ['hex, odd characters before it', `abc${hex(value)}`],
    ['base64', base64(value)],
    ['base64, one character before it', base64(`x${value}`)],
    ['base64, two characters before it', base64(`xy${value}`)],
    ['base64 of URLs', Buffer.from(`me:${value}`).toString('base64url')],
    ['base64 in percent-encoding', percent(base64(`me:${value}`))],
    ['base64, broken over lines', base64(value).replaceAll(/.{16}/g, '$&\r\n')],
    ['two lines', `${value.slice(0, 11)}\n    ${value.slice(11)}`],
  ])('finds a secret in %s', (_, quoted) => {
    const redactor = new Redactor();
    redactor.learn(value);
    const clean = redactor.clean(`a server said <${quoted}> of it`);
    expect(clean).toContain('[secret]');
    expect(clean).not.toContain(quoted);
    expect(clean).toMatch(/^a server said <.* of it$/s);
  });

  it('takes blanks and a line break at the ends of a value for no part of it', () => {
    const redactor = new Redactor();
    redactor.learn(' from-a-file-with-a-newline\n');
    expect(redactor.clean('x from-a-file-with-a-newline y')).toBe('x [secret] y');
  });

  it('leaves what only begins, or only ends, like a secret', () => {
    const redactor = new Redactor();
    redactor.learn('beginning-and-the-ending');
    for (const text of ['beginning-and-another-ending', 'beginning-but-a-ending', 'the-ending']) {
      expect(redactor.clean(text)).toBe(text);
    }
  });

  it('forgets one of two that begin and end alike without forgetting the other', () => {
    const redactor = new Redactor(2);
    const values = ['beginning-1-endingend', 'beginning-2-endingend', 'something-else-entirely'];
    for (const known of values) redactor.learn(known);
    expect(redactor.clean(values.join(' '))).toBe('beginning-1-endingend [secret] [secret]');
  });

  it('is no slower for thousands of tokens that all begin alike, nor for a text full of that', () => {
    const header = base64('{"kid":"rsa1","alg":"RS256"}');
    const redactor = new Redactor();
    const jwt = (): string => `${header}.${randomBytes(900).toString('base64url')}`;
    const known = Array.from({ length: 4096 }, jwt);
    for (const token of known) redactor.learn(token);
    const begin = process.hrtime.bigint();
    expect(redactor.clean(`of ${known[7] ?? ''} nothing is left`)).toBe(
      'of [secret] nothing is left',
    );
    redactor.clean(header.slice(0, 8).repeat(50_000));
    // It was a minute when each of them was looked at for each beginning.
    expect(Number(process.hrtime.bigint() - begin) / 1e6).toBeLessThan(5_000);
  });
});
