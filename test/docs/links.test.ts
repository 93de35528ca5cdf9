import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

async function documents(): Promise<string[]> {
  const docs = await readdir('docs', { recursive: true });
  const pages = docs.filter((name) => name.endsWith('.md')).map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...pages];
}

describe('documents', () => {
  it('link only to files that are there', async () => {
    const missing: string[] = [];
    for (const page of await documents()) {
      const text = await readFile(page, 'utf8');
      for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        await access(join(dirname(page), target)).catch(() => missing.push(`${page}: ${target}`));
      }
    }
    expect(missing).toEqual([]);
  });

  it('ARCHITECTURE shows the layers that are enforced', async () => {
    const rules = await readFile('.dependency-cruiser.cjs', 'utf8');
    const page = await readFile('docs/ARCHITECTURE.md', 'utf8');
    const enforced = [...rules.matchAll(/^ {2}(\w+): \[(.*)\],$/gm)].map(
      ([, folder, list = '']) => [folder, [...list.matchAll(/'(\w+)'/g)].map(([, name]) => name)],
    );
    expect(enforced.length).toBeGreaterThan(10);
    for (const [folder, below] of enforced) {
      const row = new RegExp(`^\\| \`${String(folder)}/\` \\|.*\\| (.*) \\|$`, 'm').exec(page);
      const shown = row?.[1] === '–' ? [] : row?.[1]?.split(', ');
      // The composition root uses everything below it.
      expect([folder, shown]).toEqual([folder, folder === 'daemon' ? ['all above'] : below]);
    }
  });
});
