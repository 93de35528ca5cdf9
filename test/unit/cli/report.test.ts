import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { reportLines } from '../../../src/cli/commands/report.ts';
import type { ReportRequest } from '../../../src/daemon/report/report.ts';
import { FakeCli } from './fake-cli.ts';

describe('wire report', () => {
  it('asks for a file named by the time, in the folder that is named, and the usual log', async () => {
    const cli = new FakeCli();
    const requests: ReportRequest[] = [];
    cli.daemon = {
      report: async (request) => {
        requests.push(request);
        return await Promise.resolve({ path: request.path, bytes: 1, files: [] });
      },
    };
    const { code, stdout } = await cli.run('report', '-o', tmpdir(), '--json', '--role', 'x');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      path: `${tmpdir()}/wire-report-19700101-000001.tar.gz`,
    });
    expect(requests[0]).toMatchObject({
      ...{ logFile: '/state/wire.log', checkup: { readOnly: false, profile: '' } },
      settings: { role: { value: 'x', origin: 'flag', said: '--role' } },
    });
    await cli.run('report', 's3://b', '-o', 'x.tar.gz', '--log-file', 'own.log', '--read-only');
    expect(requests[1]).toMatchObject({
      ...{ path: '/cwd/x.tar.gz', logFile: '/cwd/own.log' },
      checkup: { readOnly: true, source: { kind: 'bucket', bucket: 'b', prefix: '' } },
    });
  });

  it('says where it is, what is in it, and how to look through it', () => {
    const files = [
      { name: 'doctor.json', about: 'findings', bytes: 1 },
      { name: 'wire.log', about: 'the log', bytes: 2 },
    ];
    expect(reportLines({ path: "/it's/r.tar.gz", bytes: 2048, files })).toEqual([
      "/it's/r.tar.gz (2.0 KiB, readable by you alone) has:",
      '  doctor.json  findings',
      '  wire.log     the log',
      'Secrets are blanked. Names of hosts, buckets, people and files are not: look through it first:',
      "  tar -xzOf '/it'\\''s/r.tar.gz' | less",
    ]);
  });
});
