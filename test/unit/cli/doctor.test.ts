import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingLines } from '../../../src/cli/commands/doctor.ts';
import { type Finding, findingsOf } from '../../../src/daemon/doctor/finding.ts';
import type { CheckupRequest } from '../../../src/daemon/doctor/visit.ts';
import { FakeCli } from './fake-cli.ts';

const fuse = findingsOf('fuse');
const plain = (_: string, text: string): string => text;

/** A command whose check-up finds this. */
function finding(...findings: readonly Finding[]) {
  const cli = new FakeCli();
  const requests: CheckupRequest[] = [];
  cli.daemon = {
    checkUp: async (request, events) => {
      requests.push(request);
      events.found(findings);
      return await Promise.resolve(findings);
    },
  };
  return { cli, requests };
}

describe('wire doctor', () => {
  it('shows each finding with its fix, and ends with 0 when nothing is wrong', async () => {
    const { cli } = finding(fuse.ok('it opens'), fuse.note('no others', 'ask root'));
    const { code, stdout, stderr } = await cli.run('doctor', 's3://data');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'ok       FUSE        it opens',
      'note     FUSE        no others',
      '                     -> ask root',
      'Nothing is wrong.',
      '',
    ]);
    expect(stderr).toBe('');
  });

  it.each([
    [[fuse.warning('a', 'b')], 22, 'wire: doctor found 1 warning'],
    [
      [fuse.failure('no-fuse', 'a', 'b'), fuse.warning('c', 'd'), fuse.warning('e', 'f')],
      11,
      'wire: doctor found 1 failure and 2 warnings',
    ],
    [
      [fuse.failure('unreachable', 'a', 'b'), fuse.failure('no-fuse', 'c', 'd')],
      5,
      'wire: doctor found 2 failures',
    ],
  ] as const)('ends by the worst finding, and counts (%#)', async (findings, exitCode, line) => {
    const { cli } = finding(...findings);
    const { code, stderr } = await cli.run('doctor');
    expect({ code, stderr }).toEqual({ code: exitCode, stderr: `${line}\n` });
  });

  it('gives programs one document, whatever was found', async () => {
    const { cli } = finding(fuse.failure('no-fuse', 'a', 'b'), fuse.ok('c'));
    const { code, stdout } = await cli.run('doctor', '--json');
    expect(code).toBe(11);
    expect(JSON.parse(stdout)).toEqual({
      at: '1970-01-01T00:00:01.000Z',
      tally: { ok: 1, note: 0, warning: 0, failure: 1 },
      findings: [
        { check: 'fuse', level: 'failure', seen: 'a', fix: 'b', kind: 'no-fuse' },
        { check: 'fuse', level: 'ok', seen: 'c' },
      ],
    });
  });

  it('says what it could not look at when all else is fine', async () => {
    const blind = finding(findingsOf('identity').note('no login', 'log in'));
    expect((await blind.cli.run('doctor', 's3://b')).stdout).toContain('without a login');
    const sourceless = finding(fuse.ok('fine'));
    expect((await sourceless.cli.run('doctor')).stdout).toContain('without a SOURCE');
  });

  describe('with a profile', () => {
    let folder = '';
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'wire-doctor-'));
    });
    afterEach(async () => {
      await rm(folder, { recursive: true });
    });

    it('takes the names of its mounts, and writes nothing to those that are read-only', async () => {
      const { cli, requests } = finding();
      cli.configFile = join(folder, 'config.yaml');
      await writeFile(
        cli.configFile,
        'profiles:\n  lab:\n    endpoint: https://s3.test\n    mounts:\n      raw: { source: s3://raw/x, read-only: true }\n',
      );
      await cli.run('doctor', 'raw', '--profile', 'lab');
      await cli.run('doctor', 's3://b', '--read-only', '--profile', 'lab');
      await cli.run('doctor', '--profile', 'lab');
      expect(requests.map(({ source, readOnly, profile }) => [source, readOnly, profile])).toEqual([
        [{ kind: 'bucket', bucket: 'raw', prefix: 'x/' }, true, 'lab'],
        [{ kind: 'bucket', bucket: 'b', prefix: '' }, true, 'lab'],
        [undefined, false, 'lab'],
      ]);
      expect(requests[0]?.settings.endpoint).toBe('https://s3.test');
      expect((await cli.run('doctor', 'other', '--profile', 'lab')).code).toBe(2);
    });

    it('that cannot be read looks at the rest, and tells why', async () => {
      const { cli, requests } = finding();
      cli.configFile = join(folder, 'config.yaml');
      await writeFile(cli.configFile, 'profiles: [1');
      expect((await cli.run('doctor')).code).toBe(0);
      expect(requests[0]?.configTrouble?.kind).toBe('config');
    });
  });

  it('refuses what it cannot look at', async () => {
    const { cli, requests } = finding();
    for (const words of [['ftp://x'], ['s3://a', 's3://b'], ['--endpoint', 'nothing']]) {
      expect((await cli.run('doctor', ...words)).code).toBe(2);
    }
    expect(requests).toEqual([]);
  });

  it('breaks long lines between words, below each other, and colours only the level', () => {
    const long = fuse.warning('one two three four five six seven eight nine ten', 'eleven twelve');
    expect(findingLines(long, 62, plain)).toEqual([
      'warning  FUSE        one two three four five six seven eight',
      '                     nine ten',
      '                     -> eleven twelve',
    ]);
    expect(findingLines(fuse.ok('a'), 80, (style, text) => `<${style}>${text}</>`)[0]).toBe(
      '<green>ok       </>FUSE        a',
    );
  });
});
