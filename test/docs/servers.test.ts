import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { serverNames } from '../../scripts/servers/start.ts';
import { namedTests } from '../fixtures/named-tests.ts';
import { differenceRows } from '../servers/differences.ts';

const page = await readFile('docs/SERVERS.md', 'utf8');

/** First cells of the tables of promises: names of tests. */
function promised(): readonly string[] {
  const tables = page.split('<!-- promises -->').slice(1);
  return tables.flatMap((table) => {
    const [, , ...rows] = table.split('\n\n')[0]?.trim().split('\n') ?? [];
    return rows.map((row) => row.split(' | ')[0]?.slice(2) ?? '');
  });
}

/** With `%s` and the like as they are written. */
async function testNames(): Promise<readonly string[]> {
  const written = await namedTests(['test/servers']);
  const ofServers = written.filter(({ file }) => !file.endsWith('server-group.test.ts'));
  const contract = await readFile('test/fixtures/object-store-contract.ts', 'utf8');
  const ofContract = [...contract.matchAll(/^ {4}it\('(.+)', async/gm)].map(
    ([, name = '']) => name,
  );
  return [...ofServers.map(({ name }) => name), ...ofContract];
}

describe('SERVERS', () => {
  it('has a row for each test of the suites, and no other', async () => {
    const names = await testNames();
    expect(names.length).toBeGreaterThan(40);
    expect(promised().toSorted()).toEqual(names.toSorted());
  });

  it('has the differences in the S3 interface that the tests expect', () => {
    const rows = differenceRows();
    expect(rows.length).toBeGreaterThan(10);
    expect(rows.filter((row) => !page.includes(`\n${row}\n`))).toEqual([]);
  });

  it('names every server that can be chosen', () => {
    expect(serverNames.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
