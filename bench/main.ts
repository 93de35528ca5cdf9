/** `npm run bench -- SUITE [--json FILE]`: measures one suite and prints its table. */
import { writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { GiB } from '../src/lib/bytes.ts';
import { formatReport, type Measurement, resultOf, type SuiteReport } from './report.ts';
import { measureStart } from './start.ts';

/** What a suite gives: measurements with goals, and figures without one. */
export interface SuiteOutcome {
  readonly measurements: readonly Measurement[];
  readonly notes: Readonly<Record<string, string | number>>;
}

const suites: Readonly<Record<string, (signal: AbortSignal) => Promise<SuiteOutcome>>> = {
  start: measureStart,
};

function describeMachine(): string {
  const memory = Math.round(totalmem() / GiB);
  return `${cpus().length} cores, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'string' } },
  });
  const name = positionals[0] ?? '';
  const suite = suites[name];
  if (suite === undefined) {
    process.stderr.write(
      `usage: npm run bench -- SUITE; one of: ${Object.keys(suites).join(' ')}\n`,
    );
    return 2;
  }
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const { measurements, notes } = await suite(interrupted.signal);
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
