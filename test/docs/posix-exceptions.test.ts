import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { exceptionRows, exceptions } from '../posix/exceptions.ts';
import { suite } from '../posix/suite.ts';

/** The heading of the table in docs/SEMANTICS.md. */
const HEADING = '## Where a mount differs from POSIX';

describe('the exceptions of the POSIX table', () => {
  it('are in SEMANTICS word for word, and no others', async () => {
    const page = await readFile('docs/SEMANTICS.md', 'utf8');
    const [, section = ''] = page.split(`\n${HEADING}\n`);
    const lines = section.split('\n## ')[0]?.split('\n') ?? [];
    // The first two rows are the head of the table.
    expect(lines.filter((line) => line.startsWith('|')).slice(2)).toEqual(exceptionRows());
  });

  it('are each of a check, and each of a mode', () => {
    const names = suite.map(({ name }) => name);
    for (const [name, { outcome }] of Object.entries(exceptions)) {
      expect(names).toContain(name);
      expect(Object.keys(outcome).length).toBeGreaterThan(0);
    }
  });
});
