/**
 * What `.ci/run` runs once everything is built: `npm test`, a few rounds of kills and of faults, and
 * the suites of servers on Ceph RGW, where Debian's packages of it can be had. The last line counts
 * all of it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { addTallies, type Tally, tallyIn, tallyLine } from './tally.ts';

const tool = (name: string, ...words: readonly string[]): readonly string[] => [
  process.execPath,
  `build/scripts/${name}.js`,
  ...words,
];

/** The others take ten minutes more. */
const rgwSuites = ['conformance', 'object-store', 'promises', 'rights'];

/** Each ends with a line that counts. The longer forms are in docs/TESTING.md. */
const steps: readonly (readonly string[])[] = [
  ['npm', 'test'],
  tool('test-crash', '--rounds', '6', '--write-back', 'off'),
  tool('test-crash', '--rounds', '4', '--write-back', 'on'),
  tool('test-faults', '--seed', '205', '--rounds', '1'),
  tool('test-servers', 'rgw', ...rgwSuites.flatMap((name) => ['--only', name])),
];

/** A step that ends badly, or does not count, has failed once at least. */
async function runStep([program = '', ...words]: readonly string[]): Promise<Tally> {
  process.stdout.write(`\n> ${[program, ...words].join(' ')}\n`);
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let tally: Tally | undefined;
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    process.stdout.write(`${line}\n`);
    tally = tallyIn(line) ?? tally;
  });
  const [[code]] = (await Promise.all([once(child, 'exit'), once(lines, 'close')])) as [
    [number | null],
    unknown,
  ];
  const counted = tally ?? { passed: 0, failed: 0, skipped: 0 };
  const isBad = code !== 0 || tally === undefined;
  return isBad ? { ...counted, failed: Math.max(1, counted.failed) } : counted;
}

let all: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const step of steps) all = addTallies(all, await runStep(step));
process.stdout.write(`\n${tallyLine(all)}\n`);
process.exitCode = all.failed === 0 ? 0 : 1;
