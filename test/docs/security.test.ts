import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { namedTests } from '../fixtures/named-tests.ts';

const RULES = 19;

interface Named {
  readonly rule: number;
  readonly file: string;
  readonly name: string;
}

/** Lines "- `FILE`: NAME" below the heading of each rule, wherever they are broken. */
async function named(): Promise<readonly Named[]> {
  const page = await readFile('docs/SECURITY.md', 'utf8');
  const sections = page.split(/^#{2,3} /m).filter((section) => /^\d+\. /.test(section));
  return sections.flatMap((section) => {
    const rule = Number.parseInt(section, 10);
    const points = section.matchAll(/^- `(test\/[^`]+)`: (.+(?:\n {2}.+)*)/gm);
    return [...points].map(([, file = '', name = '']) => {
      return { rule, file, name: name.replaceAll(/\n {2}/g, ' ') };
    });
  });
}

describe('SECURITY', () => {
  it('names for each of its rules a test that is there and runs', async () => {
    const tests = await namedTests(['test/unit', 'test/identity', 'test/e2e', 'test/docs']);
    const claimed = await named();
    const held = new Set(claimed.map(({ rule }) => rule));
    expect([...held].sort((a, b) => a - b)).toEqual([...Array(RULES).keys()].map((at) => at + 1));
    const missing = claimed.filter(
      ({ file, name }) =>
        !tests.some(
          (test) => test.file === file && test.name === name && !/skip|todo/.test(test.call),
        ),
    );
    expect(missing).toEqual([]);
  });
});
