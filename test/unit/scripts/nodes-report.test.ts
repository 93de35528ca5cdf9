import { describe, expect, it } from 'vitest';
import { type NodeReport, readTally, tableOf, totalLine } from '../../../scripts/nodes/report.ts';

function report(version: string, demoCode: number, output: string): NodeReport {
  const trial = { seconds: 12.3, output, complaints: '' };
  return {
    version,
    demo: { ...trial, exitCode: demoCode },
    tests: { ...trial, exitCode: 0 },
    tally: readTally(output),
  };
}

describe('what test:nodes reports', () => {
  it('is read from the last line of a run, whatever stands before it', () => {
    expect(
      readTally('1 passed, 0 failed, 0 skipped\nmore\n70 passed, 2 failed, 1 skipped\n'),
    ).toEqual({
      passed: 70,
      failed: 2,
      skipped: 1,
    });
  });

  it('counts a run that did not come to its last line as a failure', () => {
    for (const output of ['', 'Error: no such module', '70 passed, 2 failed, 1 skipped\nkilled']) {
      expect(readTally(output)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    }
  });

  it('is a line for each Node, and one that counts demos as tests', () => {
    const good = report('20.19.6', 0, '72 passed, 0 failed, 3 skipped\n');
    expect(tableOf([good, report('22.1.0', 1, '')])).toEqual([
      'node     demo           transport',
      '20.19.6  ok (12 s)      72 passed, 0 failed, 3 skipped (12 s)',
      '22.1.0   FAILED (12 s)  0 passed, 1 failed, 0 skipped (12 s)',
    ]);
    expect(totalLine([good])).toEqual({ line: '73 passed, 0 failed, 3 skipped', hasFailed: false });
    expect(totalLine([good, report('22.1.0', 1, '')])).toEqual({
      line: '73 passed, 2 failed, 3 skipped',
      hasFailed: true,
    });
    expect(totalLine([]).hasFailed).toBe(true);
  });
});
