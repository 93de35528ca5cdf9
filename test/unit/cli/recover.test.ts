import { describe, expect, it } from 'vitest';
import { leftLines } from '../../../src/cli/commands/recover.ts';
import type { LeftFile } from '../../../src/daemon/left-behind.ts';
import { FakeCli } from './fake-cli.ts';

const inJournal: LeftFile = {
  ...{ id: '1f3a9c02', kind: 'journal', name: 'data/a\nb', bytes: 2048, missingBytes: 1024 },
  atMs: 0,
  whose: {
    source: 's3://data',
    endpoint: 'https://s3.test',
    issuer: 'https://iam.test',
    subject: 'alice',
  },
};
const aside: LeftFile = {
  ...{ id: 'aabbccdd', kind: 'kept', name: 'x.conflict-alice', bytes: 1, missingBytes: 0 },
  ...{ atMs: 0, path: '/state/kept/x.conflict-alice' },
};

describe('wire recover', () => {
  it('lists what is left, and whose it is, in lines that cannot steer a terminal', () => {
    const [first, second] = leftLines([inJournal, aside], 1000);
    expect(first).toContain('1f3a9c02');
    expect(first).toContain('data/a?b: for s3://data at https://s3.test, by alice of');
    expect(first).toContain('1.0 KiB of it only there');
    expect(second).toContain('kept in /state/kept/x.conflict-alice');
    expect(leftLines([], 0)).toEqual(['Nothing is left behind.']);
  });

  it('copies all of it, and deletes only what is named', async () => {
    const cli = new FakeCli();
    cli.left = [inJournal, aside];
    const copied = await cli.run('recover', '--to', 'out');
    expect(copied.code).toBe(0);
    expect(copied.stdout).toContain('/cwd/out/x.conflict-alice.aabbccdd');
    expect(cli.discarded).toEqual([]);
    expect((await cli.run('recover', '--discard', 'aabbccdd')).code).toBe(0);
    expect(cli.discarded).toEqual(['aabbccdd']);
    expect((await cli.run('recover', '--discard', 'unknown')).code).toBe(9);
    expect((await cli.run('recover', '--discard', 'x', '--to', 'out')).code).toBe(2);
  });
});
