import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { namedTests } from '../fixtures/named-tests.ts';

/** Where `docs/SEMANTICS.md` says that its claims are shown. */
const folders = ['test/unit/fs', 'test/model', 'test/unit/cache'];

/** The points of the page, each in one line whatever its length there. */
async function claims(): Promise<readonly string[]> {
  const page = await readFile('docs/SEMANTICS.md', 'utf8');
  const points = page.matchAll(/^- (.+(?:\n {2}.+)*)/gm);
  return [...points].map(([, point = '']) => point.replaceAll(/\n {2}/g, ' '));
}

describe('SEMANTICS', () => {
  it('claims only what a test of that name shows, and shows no test twice', async () => {
    const names = (await namedTests(folders)).map(({ name }) => name);
    const claimed = await claims();
    expect(claimed.length).toBeGreaterThan(50);
    expect(claimed.filter((claim) => !names.includes(claim))).toEqual([]);
    expect(claimed.filter((claim, at) => claimed.indexOf(claim) !== at)).toEqual([]);
  });

  it('has a point for each test of what files do', async () => {
    const claimed = await claims();
    // Model tests of other parts say nothing of files.
    const told = (await namedTests(folders)).filter(({ file }) =>
      /^(?!.*\/name-table\.test)test\/(unit\/fs\/|model\/(fs|reading|names|walks))/.test(file),
    );
    expect(told.length).toBeGreaterThan(50);
    expect(told.filter(({ name }) => !claimed.includes(name))).toEqual([]);
  });

  it('rests on tests that every run executes, each in one place', async () => {
    const claimed = await claims();
    const tests = (await namedTests(folders)).filter(({ name }) => claimed.includes(name));
    expect(tests.filter(({ call }) => call !== 'it')).toEqual([]);
    const names = tests.map(({ name }) => name);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });
});
