import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/lib/wire-error.ts';

describe('README', () => {
  it('lists the exit code of each kind of error, and no other', async () => {
    const readme = await readFile('README.md', 'utf8');
    const rows = readme.matchAll(/^\| (\d+) \| `([a-z-]+)` \|/gm);
    const documented = Object.fromEntries(
      [...rows].map(([, code, kind = '']): [string, number] => [kind, Number(code)]),
    );
    expect(documented).toEqual(exitCodeOf);
  });
});
