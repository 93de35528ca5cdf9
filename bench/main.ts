/**
 * `npm run bench -- SUITE [--json FILE] [--rounds N] [--only NAME]...`: measures one suite and
 * prints its table.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { GiB } from '../src/lib/bytes.ts';
import { measureIdentity } from './identity/suite.ts';
import { formatReport, type Measurement, resultOf, type SuiteReport } from './report.ts';
import { measureStart } from './start.ts';
import { measureTransport } from './transport/suite.ts';

/** What a suite gives: measurements with goals, and figures without one. */
export interface SuiteOutcome {
  readonly measurements: readonly Measurement[];
  readonly notes: Readonly<Record<string, string | number>>;
}

export interface SuiteOptions {
  /** How often each workload is run on each of the compared. */
  readonly rounds: number;
  /** Names of results to measure; all when empty. */
  readonly only: readonly string[];
  readonly signal: AbortSignal;
}

const suites: Readonly<Record<string, (options: SuiteOptions) => Promise<SuiteOutcome>>> = {
  identity: measureIdentity,
  start: async ({ signal }) => await measureStart(signal),
  transport: measureTransport,
};

const DEFAULT_ROUNDS = 5;

function describeMachine(): string {
  const memory = Math.round(totalmem() / GiB);
  return `${cpus().length} cores, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string', multiple: true },
    },
  });
  const name = positionals[0] ?? '';
  const suite = suites[name];
  const rounds = Number(values.rounds ?? DEFAULT_ROUNDS);
  if (suite === undefined || !Number.isInteger(rounds) || rounds < 1) {
    process.stderr.write(
      `usage: npm run bench -- SUITE [--json FILE] [--rounds N] [--only NAME]...; SUITE one of: ${Object.keys(suites).join(' ')}\n`,
    );
    return 2;
  }
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const only = values.only ?? [];
  const { measurements, notes } = await suite({ rounds, only, signal: interrupted.signal });
  const report: SuiteReport = {
    suite: name,
    machine: describeMachine(),
    results: measurements.map(resultOf),
    notes,
  };
  process.stdout.write(`${formatReport(report)}\n`);
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report)}\n`);
  return 0;
}

process.exitCode = await main();
