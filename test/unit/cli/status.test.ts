import { beforeEach, describe, expect, it } from 'vitest';
import { statusLines } from '../../../src/cli/views/status-view.ts';
import type { Daemon } from '../../../src/daemon/daemon.ts';
import type { TimedWork } from '../../../src/daemon/mount-watch.ts';
import type { LiveMountStatus, Status } from '../../../src/daemon/status.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeCli } from './fake-cli.ts';

const MiB = 1024 * 1024;
const none = { bytes: 0, bytesPerSecond: 0 };

function timed(
  name: string,
  count: number,
  p50Ms: number,
  more: Partial<TimedWork> = {},
): TimedWork {
  return {
    name,
    count,
    sumMs: count * p50Ms,
    p50Ms,
    p99Ms: p50Ms * 10,
    maxMs: p50Ms * 100,
    ...more,
  };
}

const work = {
  operations: [
    timed('LOOKUP', 10, 0.02, { errors: { ENOENT: 7 } }),
    timed('READ', 20_000, 0.5, { errors: { EIO: 2 } }),
    timed('WRITE', 5, 4),
    timed('GETATTR', 3, 0.01),
    timed('OPEN', 2, 0.01),
    timed('RELEASE', 2, 0.005),
    timed('STATFS', 1, 0.001),
  ],
  requests: [
    timed('get', 100, 1200, { errors: { unavailable: 1, 'precondition-failed': 4 } }),
    timed('put', 1, 2),
  ],
  traffic: {
    sent: { bytes: 30 * MiB, bytesPerSecond: 2 * MiB },
    received: { bytes: 100 * MiB, bytesPerSecond: 3 * MiB },
    ...{ readBytes: 400 * MiB, writtenBytes: 31 * MiB },
  },
};

const mount: LiveMountStatus = {
  ...{ mountPoint: '/m', source: 's3://b', readOnly: false, state: 'ready', readySinceMs: 0 },
  ...{ endpoint: 'https://s3.example', issuer: 'https://iam.example', role: undefined },
  ...{ credentialsUntilMs: undefined, openHandles: 0, uploads: 2 },
  ...{ unsavedFiles: 0, unsavedBytes: 0, failures: [], pid: 7, work },
  reading: {
    ...{ memoryBytes: 9, hits: 90, misses: 10, readBytes: 400 * MiB, fetchedBytes: 100 * MiB },
    ...{ diskBytes: 20 * MiB, amplification: 1, archived: [] },
  },
};
const status: Status = { mounts: [mount], logins: [] };

function without(told: LiveMountStatus, ...names: readonly string[]): LiveMountStatus {
  const kept = Object.entries(told).filter(([name]) => !names.includes(name));
  return Object.fromEntries(kept) as unknown as LiveMountStatus;
}

describe('what a mount does, in `wire status`', () => {
  it('is bytes, hit rate, rates, troubles and the busiest latencies, a line each', () => {
    expect(statusLines(status, 0)).toEqual([
      '/m: ready: s3://b at https://s3.example (pid 7)',
      '  reads   400.0 MiB, 90 % from memory, 20.0 MiB from the disk, 100.0 MiB from the store (3.0 MiB/s)',
      '  writes  31.0 MiB, 2 uploads, 30.0 MiB to the store (2.0 MiB/s)',
      '  errors  read EIO 2, get unavailable 1',
      '  files   read 500 µs / 5.0 ms, write 4.0 ms / 40 ms, lookup 20 µs / 200 µs (p50 / p99)',
      '  store   get 1.2 s / 12.0 s, put 2.0 ms / 20 ms (p50 / p99)',
      'No logins (wire login ISSUER).',
    ]);
  });

  it('has all latencies in a table on request, the busiest first', () => {
    const lines = statusLines(status, 0, { detail: 'all' });
    const table = lines.slice(
      lines.findIndex((line) => line.includes('p50')),
      -1,
    );
    expect(table.map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['count', 'p50', 'p99', 'max'],
      ['files read', '20,000', '500 µs', '5.0 ms', '50 ms'],
      ['files write', '5', '4.0 ms', '40 ms', '400 ms'],
      ['files lookup', '10', '20 µs', '200 µs', '2.0 ms'],
      ['files getattr', '3', '10 µs', '100 µs', '1.0 ms'],
      ['files open', '2', '10 µs', '100 µs', '1.0 ms'],
      ['files release', '2', '5 µs', '50 µs', '500 µs'],
      ['files statfs', '1', '1 µs', '10 µs', '100 µs'],
      ['store get', '100', '1.2 s', '12.0 s', '120.0 s'],
      ['store put', '1', '2.0 ms', '20 ms', '200 ms'],
    ]);
    expect(new Set(table.map((line) => line.length)).size).toBe(1);
  });

  it('is nothing before anything was done, and for a mount of an older wire', () => {
    const idle = {
      operations: [],
      requests: [],
      traffic: { sent: none, received: none, readBytes: 0, writtenBytes: 0 },
    };
    const quiet: LiveMountStatus = { ...without(mount, 'work', 'reading'), uploads: 0 };
    for (const one of [{ ...quiet, work: idle }, quiet]) {
      for (const detail of ['line', 'table', 'all'] as const) {
        expect(statusLines({ mounts: [one], logins: [] }, 0, { detail })).toHaveLength(2);
      }
    }
  });

  it('breaks the facts of a mount where the screen ends, and loses none', () => {
    const degraded = { degraded: 'identity', degradedReason: 'log in again' } as const;
    const quiet = { ...without(mount, 'work'), ...degraded, readOnly: true };
    const whole = statusLines({ mounts: [quiet], logins: [] }, 0);
    const narrow = statusLines({ mounts: [quiet], logins: [] }, 0, { columns: 50 });
    expect(narrow.slice(0, -1)).toEqual([
      '/m: ready: s3://b at https://s3.example, read-only,',
      '  degraded: identity (log in again) (pid 7)',
    ]);
    expect(
      narrow
        .slice(0, -1)
        .map((line) => line.trim())
        .join(' '),
    ).toBe(whole[0]);
  });
});

describe('what a process tells besides', () => {
  it('is where its metrics and logs are, and what is missing in them', () => {
    const watching = {
      ...{ pid: 7, version: '1', startedMs: 0, metricsUrl: 'http://127.0.0.1:9345/metrics' },
      ...{ auditLog: '/s/audit.log', auditFailures: 2, accessLog: '/a', accessDropped: 3 },
    };
    expect(statusLines({ mounts: [], processes: [watching], logins: [] }, 0).slice(1, -1)).toEqual([
      'pid 7: metrics: http://127.0.0.1:9345/metrics',
      'pid 7: access log: /a',
      'pid 7: 3 operations are not in the access log',
      'pid 7: 2 changes are not in the audit log /s/audit.log',
    ]);
  });
});

describe('wire status --watch', () => {
  let cli = new FakeCli();
  /** What was asked of the daemon; the third look is the last. */
  let asked: string[] = [];

  beforeEach(() => {
    cli = new FakeCli();
    asked = [];
    const look = async (how: string): Promise<Status> => {
      asked.push(how);
      if (asked.length === 3) cli.signals.send('SIGINT');
      return await Promise.resolve(status);
    };
    const daemon: Partial<Daemon> = {
      status: async () => await look('all'),
      statusAgain: async () => await look('mounts'),
    };
    cli.daemon = daemon;
    cli.sleeps = 'end';
  });

  it('draws in place on a terminal until Ctrl-C, which is no failure, and gives it back', async () => {
    cli.isTTY = true;
    const { code, stdout } = await cli.run('status', '--watch');
    expect(code).toBe(0);
    expect(asked).toEqual(['all', 'mounts', 'mounts']);
    expect(stdout.match(/\x1b\[H/g)).toHaveLength(3);
    expect(stdout).toContain('\x1b[1m/m\x1b[0m: ready');
    expect(stdout).toContain('files read');
    expect(stdout.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
  });

  it('has no colours where NO_COLOR is set', async () => {
    cli.isTTY = true;
    cli.environment = { NO_COLOR: '1' };
    const { stdout } = await cli.run('status', '--watch');
    expect(stdout).not.toMatch(/\x1b\[\d*m/);
    expect(stdout).toContain('\x1b[?1049h');
  });

  it('prints one block after the other where nobody looks, and lines of JSON to a program', async () => {
    const { stdout, code } = await cli.run('status', '--watch', '--interval', '0.5');
    expect([code, stdout.match(/^\/m: ready/gm)?.length]).toEqual([0, 3]);
    expect(stdout).not.toContain('\x1b');
    asked = [];
    const json = await cli.run('status', '--watch', '--json');
    const lines = json.stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([status, status, status]);
  });

  it('gives the terminal back when something goes wrong', async () => {
    cli.isTTY = true;
    const answered = 'it belongs to uid 7';
    const refused = new WireError('config', { tried: 'look', answered });
    cli.daemon = { ...cli.daemon, statusAgain: async () => await Promise.reject(refused) };
    const { code, stdout, stderr } = await cli.run('status', '--watch');
    expect([code, stderr.includes(answered)]).toEqual([6, true]);
    expect(stdout.endsWith('\x1b[?1049l')).toBe(true);
  });

  it('refuses an interval that is none', async () => {
    for (const interval of ['0', 'x', '1e9', '-1']) {
      expect((await cli.run('status', '--watch', `--interval=${interval}`)).code).toBe(2);
    }
  });
});
