/**
 * `npm run test:nodes [-- VERSION ...]`: the build that is there, under each Node that wire promises
 * to run on: the whole demo, and the tests of the transport. Nothing is built anew: the addon speaks
 * Node-API, whose binaries outlive versions (nodejs.org/api/n-api.html).
 *
 * Each Node comes from npm's `node-SYSTEM-ARCH` packages into `build/nodes/`, and stays there. The
 * last line counts: a demo is one test.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { run } from './demo/programs.ts';
import { type NodeReport, readTally, type Trial, tableOf, totalLine } from './nodes/report.ts';
import { stopSignal } from './stop-signal.ts';

/** The oldest that `engines` admits, and the newest of each line that gets mends. */
const VERSIONS = ['20.19.6', '22.23.3', '24.21.0', '26.10.0'];
/** Tests that fail are an answer, not a failure to ask. */
const ANSWERS = [1];

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** @returns the program, which npm has fetched if it was not there. */
async function fetchNode(version: string, signal: AbortSignal): Promise<string> {
  const folder = resolve('build', 'nodes', version);
  const name = `node-${process.platform}-${process.arch}`;
  const program = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(program)) {
    await mkdir(folder, { recursive: true });
    const quiet = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
    await run('npm', ['install', '--prefix', folder, ...quiet, `${name}@${version}`], signal);
  }
  const { stdout } = await run(program, ['--version'], signal);
  if (stdout.trim() !== `v${version}`) throw new Error(`${program} is ${stdout.trim()}`);
  return program;
}

/** Runs one of our scripts; programs that look for `node` find the same. */
async function tryScript(
  program: string,
  script: readonly string[],
  signal: AbortSignal,
): Promise<Trial> {
  const started = performance.now();
  const PATH = [dirname(program), process.env['PATH'] ?? ''].join(delimiter);
  const { exitCode, stdout, stderr } = await run(program, script, signal, {
    env: { PATH },
    allow: ANSWERS,
  });
  const seconds = (performance.now() - started) / 1000;
  return { exitCode, seconds, output: stdout, complaints: stderr };
}

async function report(version: string, signal: AbortSignal): Promise<NodeReport> {
  const program = await fetchNode(version, signal);
  const script = (name: string): string => join('build', 'scripts', name);
  const demo = await tryScript(program, [script('demo.js')], signal);
  say(
    `node ${version}: demo ${demo.exitCode === 0 ? 'ok' : 'FAILED'}, ${demo.seconds.toFixed(0)} s`,
  );
  if (demo.exitCode !== 0) say(demo.output.trimEnd());
  const tests = await tryScript(program, [script('test.js'), 'test/e2e/fuse-'], signal);
  const tally = readTally(tests.output);
  if (tally.failed > 0) say(`${tests.output}${tests.complaints}`.trimEnd());
  return { version, demo, tests, tally };
}

async function main(signal: AbortSignal): Promise<number> {
  const { positionals } = parseArgs({ allowPositionals: true });
  const reports: NodeReport[] = [];
  for (const version of positionals.length > 0 ? positionals : VERSIONS) {
    reports.push(await report(version, signal));
  }
  for (const line of tableOf(reports)) say(line);
  const { line, hasFailed } = totalLine(reports);
  say(`\n${line}`);
  return hasFailed ? 1 : 0;
}

process.exit(await main(stopSignal()));
