import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { optionsTable, tableBegin, tableEnd } from '../../scripts/options-page.ts';
import { parseConfig } from '../../src/config/load.ts';

describe('CONFIGURATION', () => {
  it('shows the table of options as it is', async () => {
    const page = await readFile('docs/CONFIGURATION.md', 'utf8');
    const [, table] = page.split(tableBegin);
    expect(table?.split(tableEnd)[0]?.trim()).toBe(optionsTable());
  });

  it('shows files that wire reads', async () => {
    const page = await readFile('docs/CONFIGURATION.md', 'utf8');
    const files = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);
    expect(files.length).toBeGreaterThan(0);
    for (const text of files) {
      expect(parseConfig(text, 'the page', '/home/alice').profiles.size).toBeGreaterThan(0);
    }
  });
});
