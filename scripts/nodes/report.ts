/** What `npm run test:nodes` has found out, in a table. Pure. */
import { type Tally, tallyIn, tallyLine } from '../tally.ts';

/** One run of a script. */
export interface Trial {
  readonly exitCode: number;
  readonly seconds: number;
  readonly output: string;
  readonly complaints: string;
}

export interface NodeReport {
  readonly version: string;
  readonly demo: Trial;
  readonly tests: Trial;
  readonly tally: Tally;
}

/** The last line of a run of tests; a run that did not come to it counts as one failure. */
export function readTally(output: string): Tally {
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  return tallyIn(last) ?? { passed: 0, failed: 1, skipped: 0 };
}

/** A heading, and a line for each. */
export function tableOf(reports: readonly NodeReport[]): readonly string[] {
  const rows = reports.map(({ version, demo, tests, tally }) => [
    version,
    `${demo.exitCode === 0 ? 'ok' : 'FAILED'} (${demo.seconds.toFixed(0)} s)`,
    `${tallyLine(tally)} (${tests.seconds.toFixed(0)} s)`,
  ]);
  const table = [['node', 'demo', 'transport'], ...rows];
  const widths = [0, 1].map((at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
  return table.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '));
}

/** A demo counts as one test. A run that passed nothing has failed. */
export function totalLine(reports: readonly NodeReport[]): {
  readonly line: string;
  readonly hasFailed: boolean;
} {
  const sum = (pick: (report: NodeReport) => number): number =>
    reports.reduce((total, each) => total + pick(each), 0);
  const passed = sum(({ demo, tally }) => tally.passed + (demo.exitCode === 0 ? 1 : 0));
  const failed = sum(({ demo, tally }) => tally.failed + (demo.exitCode === 0 ? 0 : 1));
  const skipped = sum(({ tally }) => tally.skipped);
  return {
    line: tallyLine({ passed, failed, skipped }),
    hasFailed: failed > 0 || passed === 0,
  };
}
