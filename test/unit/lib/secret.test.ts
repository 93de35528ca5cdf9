import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { redact, Secret } from '../../../src/lib/secret.ts';

describe('Secret', () => {
  it('shows its value in no printed form', () => {
    const secret = new Secret('hunter2hunter2');
    const shown = [
      secret.toString(),
      JSON.stringify({ secret }),
      inspect({ secret }, { depth: 9, showHidden: true }),
      Object.values(secret).join(),
    ].join('\n');
    expect(shown).not.toContain('hunter2');
    expect(secret.reveal()).toBe('hunter2hunter2');
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
