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

  it('cleans a line of a log in well under a millisecond, with thousands known', () => {
    const redactor = new Redactor();
    for (let count = 0; count < 4096; count++) redactor.learn(randomBytes(30).toString('base64'));
    const line = JSON.stringify({
      event: 'request',
      key: `data/${randomBytes(200).toString('hex')}/object.root`,
      url: 'https://s3.example/bucket?list-type=2&prefix=a%2Fb%2Fc&delimiter=%2F',
    });
    const begin = process.hrtime.bigint();
    for (let count = 0; count < 2000; count++) redactor.clean(line);
    const eachUs = Number(process.hrtime.bigint() - begin) / 2000 / 1000;
    expect(eachUs).toBeLessThan(1000);
  });
});
