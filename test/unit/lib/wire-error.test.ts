import { describe, expect, it } from 'vitest';
import { exitCodeOf, WireError } from '../../../src/lib/wire-error.ts';

describe('WireError', () => {
  it('is one line: what was tried, what answered, what to do next', () => {
    const error = new WireError('unreachable', {
      tried: 'open https://iam.example/',
      answered: 'connection refused',
      next: 'check the issuer URL',
    });
    expect(error.toLine()).toBe(
      'cannot open https://iam.example/: connection refused; check the issuer URL',
    );
    expect(error.exitCode).toBe(5);
  });

  it('keeps its cause', () => {
    const cause = new Error('ECONNREFUSED');
    const error = new WireError('unreachable', { tried: 'x', answered: 'y' }, { cause });
    expect(error.cause).toBe(cause);
    expect(error.toLine()).toBe('cannot x: y');
  });

  it('gives each kind an exit code of its own, none of them 0', () => {
    const codes = Object.values(exitCodeOf);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes).not.toContain(0);
  });
});
