import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redact, redactKnown, Secret } from '../../../src/lib/secret.ts';

describe('Secret', () => {
  it('shows its value in no printed form', () => {
    const secret = new Secret('hunter2hunter2');
    const error = new Error('failed', { cause: { secret } });
    const shown = [
      secret.toString(),
      String(secret),
      ['', secret, ''].join('|'),
      JSON.stringify({ secret, list: [secret] }),
      inspect({ secret }, { depth: 9, showHidden: true, getters: true }),
      inspect(secret, { customInspect: false, showHidden: true }),
      inspect(new Map([[secret, new Set([[secret]])]]), { depth: 9, showHidden: true }),
      inspect(error, { depth: 9, showHidden: true }),
      inspect(Object.assign(new Error('with'), { secret }), { depth: 9 }),
      inspect(Object.assign({}, secret)),
      inspect(structuredClone(secret), { showHidden: true }),
      format('%s %o %O %j %d', secret, secret, secret, secret, secret),
      Object.values(secret).join(),
      Object.getOwnPropertyNames(secret).join(),
      JSON.stringify(Object.entries(secret)),
    ].join('\n');
    expect(shown).not.toContain('hunter2');
    expect(shown).toContain('[secret]');
    expect(secret.reveal()).toBe('hunter2hunter2');
  });
});

describe('redactKnown', () => {
  it('knows every secret from its making on, in each form that others quote it in', () => {
    const value = 'k+/9 "quoted"\\ and=more';
    expect(redactKnown(value)).toBe(value);
    new Secret(value);
    const forms = [
      value,
      encodeURIComponent(value),
      JSON.stringify(value).slice(1, -1),
      Buffer.from(value).toString('base64'),
      Buffer.from(value).toString('base64url'),
      Buffer.from(`a-client:${value}`).toString('base64'),
      Buffer.from(`{"a":1,"b":"${value}"}`).toString('base64url'),
    ];
    for (const form of forms) {
      const clean = redactKnown(`before ${form} after`);
      expect(clean).toMatch(/^before \[secret\]=* after$/);
    }
  });

  it('takes no secret for a part of the text around it', () => {
    new Secret('abcdefgh-1');
    new Secret('abcdefgh-12');
    expect(redactKnown('xabcdefgh-12y abcdefgh-1 abcdefgh- abcdefgh-1')).toBe(
      'x[secret]y [secret] abcdefgh- [secret]',
    );
  });

  it('blanks what has the shape of a token though nobody made it a Secret', () => {
    const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.';
    const url =
      'https://s3.example/b?X-Amz-Date=1&X-Amz-Signature=0a1b2c&X-Amz-Security-Token=Zm9v%2B&x=1';
    const shapes = [
      [`got ${jwt} here`, 'got [secret] here'],
      [`Bearer ${jwt}abcd`, 'Bearer [secret]'],
      [
        url,
        'https://s3.example/b?X-Amz-Date=1&X-Amz-Signature=[secret]&X-Amz-Security-Token=[secret]&x=1',
      ],
      ['x-amz-security-token: Zm9vYmFy', 'x-amz-security-token: [secret]'],
      ['{"access_token":"0123456789","a":1}', '{"access_token":"[secret]","a":1}'],
      ['{\\"refresh_token\\":\\"0123456789\\"}', '{\\"refresh_token\\":\\"[secret]\\"}'],
      ['a=1&client_secret=0123456789&b=2', 'a=1&client_secret=[secret]&b=2'],
      [
        '<SecretAccessKey>0123456789</SecretAccessKey>',
        '<SecretAccessKey>[secret]</SecretAccessKey>',
      ],
      ['the code is 600 s old', 'the code is 600 s old'],
      ['Invalid refresh token: see the log', 'Invalid refresh token: see the log'],
    ] as const;
    for (const [text, clean] of shapes) expect(redactKnown(text)).toBe(clean);
  });

  it('changes nothing but secrets, and leaves none, whatever surrounds them', () => {
    const text = fc.string({ minLength: 8, maxLength: 60, unit: 'grapheme-ascii' });
    const secret = text.filter((value) => value.trim().length >= 8);
    fc.assert(
      fc.property(secret, fc.string(), fc.string(), (value, before, after) => {
        new Secret(value);
        for (const form of [value, encodeURIComponent(value)]) {
          const clean = redactKnown(`${before} ${form} ${after}`);
          expect(clean).not.toContain(form);
          expect(clean).toContain('[secret]');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('redact', () => {
  it('blanks every occurrence, also as a query writes it', () => {
    const secret = new Secret('a+b/c=d e');
    const text = `x a+b/c=d e y ${encodeURIComponent('a+b/c=d e')} a+b/c=d e`;
    expect(redact(text, [secret])).toBe('x [secret] y [secret] [secret]');
  });

  it('leaves text alone where a secret is too short to be one', () => {
    expect(redact('a fine day', [new Secret('a'), new Secret('')])).toBe('a fine day');
  });
});
