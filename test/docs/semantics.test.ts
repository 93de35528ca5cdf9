import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

interface NamedTest {
  readonly file: string;
  readonly name: string;
  /** `it`, or `it.skip` and the like. */
  readonly call: string;
}

/** Where `docs/SEMANTICS.md` says that its claims are shown. */
const folders = ['test/unit/fs', 'test/model'];

async function namedTests(): Promise<readonly NamedTest[]> {
  const found: NamedTest[] = [];
  for (const folder of folders) {
    const names = await readdir(folder, { recursive: true });
    for (const name of names.filter((path) => path.endsWith('.test.ts'))) {
      const file = join(folder, name);
      found.push(...testsIn(file, await readFile(file, 'utf8')));
    }
  }
  return found;
}

/** Calls of `it` and its variants whose name is written out. */
function testsIn(file: string, text: string): readonly NamedTest[] {
  const found: NamedTest[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const call = node.expression.getText();
      const [name] = node.arguments;
      if (/^(it|test)\b/.test(call) && name !== undefined && ts.isStringLiteralLike(name)) {
        found.push({ file, name: name.text, call });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true));
  return found;
}

/** The points of the page, each in one line whatever its length there. */
async function claims(): Promise<readonly string[]> {
  const page = await readFile('docs/SEMANTICS.md', 'utf8');
  const points = page.matchAll(/^- (.+(?:\n {2}.+)*)/gm);
  return [...points].map(([, point = '']) => point.replaceAll(/\n {2}/g, ' '));
}

describe('SEMANTICS', () => {
  it('claims only what a test of that name shows, and shows no test twice', async () => {
    const names = (await namedTests()).map(({ name }) => name);
    const claimed = await claims();
    expect(claimed.length).toBeGreaterThan(50);
    expect(claimed.filter((claim) => !names.includes(claim))).toEqual([]);
    expect(claimed.filter((claim, at) => claimed.indexOf(claim) !== at)).toEqual([]);
  });

  it('has a point for each test of what files do', async () => {
    const claimed = await claims();
    // Model tests of other parts say nothing of files.
    const told = (await namedTests()).filter(({ file }) =>
      /^test\/(unit\/fs\/|model\/fs)/.test(file),
    );
    expect(told.length).toBeGreaterThan(50);
    expect(told.filter(({ name }) => !claimed.includes(name))).toEqual([]);
  });

  it('rests on tests that every run executes, each in one place', async () => {
    const claimed = await claims();
    const tests = (await namedTests()).filter(({ name }) => claimed.includes(name));
    expect(tests.filter(({ call }) => call !== 'it')).toEqual([]);
    const names = tests.map(({ name }) => name);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });
});
