import { describe, expect, it } from 'vitest';
import { usageLines } from '../../../src/cli/commands/cache.ts';
import { FakeCli } from './fake-cli.ts';

describe('wire cache', () => {
  it.each([
    ['warm', 'On the local disk: 2 files, 2.0 KiB'],
    ['pin', 'Pinned: 2 files, 2.0 KiB'],
    ['unpin', 'Not pinned any more: 2 files'],
    ['refresh', 'Forgotten; asked again when it is used'],
  ])('%s asks the mount that each path lies in, and says what was done', async (verb, said) => {
    const cli = new FakeCli();
    const { code, stdout } = await cli.run('cache', verb, 'data/2024', '/m/a');
    expect(cli.tended).toEqual([
      [verb, '/cwd/data/2024'],
      [verb, '/m/a'],
    ]);
    expect(code).toBe(0);
    expect(stdout).toBe(`data/2024: ${said}\n/m/a: ${said}\n`);
  });

  it('show tells the folder, what is in it and what may be', async () => {
    const told = await new FakeCli().run(
      'cache',
      'show',
      '--cache-dir',
      'here',
      '--cache-size',
      '1G',
    );
    expect(told.stdout).toBe('/cwd/here: 4.0 KiB of 1.0 GiB in 3 objects, 1.0 KiB of it pinned\n');
    const json = await new FakeCli().run('cache', 'show', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ objects: 3, bytes: 4096 });
  });

  it('clear tells what it gave back', async () => {
    const { stdout } = await new FakeCli().run('cache', 'clear');
    expect(stdout).toBe('Cleared 4.0 KiB from /cache\n');
  });

  it('tells of one object without pins', () => {
    const usage = { folder: '/c', objects: 1, bytes: 0, quotaBytes: 1024, pinnedBytes: 0 };
    expect(usageLines(usage)).toEqual(['/c: 0 B of 1.0 KiB in 1 object']);
  });
});
