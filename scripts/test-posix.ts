/**
 * `node build/scripts/test-posix.js`: the POSIX table on a mount, one line a check.
 *
 *   --server NAME   playground (default), rgw, minio-claims and so on, or tmpfs: no mount at all
 *   --mode MODE     default or posix: whether the mount has --posix
 *   --mount FLAG    another flag of `wire mount`, as --mount=--write-back=on; any number of them
 *   --only WORD     checks with WORD in their name or topic
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Closers } from '../src/lib/closers.ts';
import { compileCalls } from '../test/posix/caller.ts';
import { HOLDS } from '../test/posix/check.ts';
import { complaints, type Mode } from '../test/posix/exceptions.ts';
import { mountedPlace, type StoreName, storeNames, tmpfsPlace } from '../test/posix/places.ts';
import { type Result, runChecks, whyNoChecks } from '../test/posix/run.ts';
import { type NamedCheck, suite } from '../test/posix/suite.ts';
import { stopSignal } from './stop-signal.ts';

interface Task {
  readonly place: StoreName | 'tmpfs';
  readonly mode: Mode;
  readonly flags: readonly string[];
  readonly checks: readonly NamedCheck[];
}

function taskOf(args: readonly string[]): Task | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      server: { type: 'string', default: 'playground' },
      mode: { type: 'string', default: 'default' },
      mount: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', default: '' },
    },
  });
  const { server, mode, mount: flags, only } = values;
  const place = ['tmpfs' as const, ...storeNames].find((name) => name === server);
  if (place === undefined || (mode !== 'default' && mode !== 'posix')) return undefined;
  const checks = suite.filter(({ topic, name }) => `${topic} ${name}`.includes(only));
  return { place, mode, flags, checks };
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

function sayResult({ topic, name, outcome, ms }: Result): void {
  const seen = outcome === HOLDS ? '' : ` | ${outcome}`;
  say(
    `${outcome === HOLDS ? 'yes' : 'NO '} ${String(Math.round(ms)).padStart(6)} ms  ${topic}: ${name}${seen}`,
  );
}

async function main({ place, mode, flags, checks }: Task, signal: AbortSignal): Promise<number> {
  const why = await whyNoChecks();
  if (why !== undefined) throw new Error(why);
  await using closers = new Closers();
  const folder = await mkdtemp(join(tmpdir(), 'wire-posix-'));
  closers.defer(async () => await rm(folder, { recursive: true }));
  const program = await compileCalls(folder);
  const opened = closers.use(
    place === 'tmpfs' ? await tmpfsPlace(signal) : await mountedPlace(place, mode, flags, signal),
  );
  const startedAt = performance.now();
  const results = await runChecks(opened.path, program, sayResult, checks);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const held = results.filter(({ outcome }) => outcome === HOLDS).length;
  say(`\n${held} of ${results.length} checks hold on ${place}, ${mode} mode (${seconds} s)`);
  const wrong =
    place === 'tmpfs'
      ? results.filter(({ outcome }) => outcome !== HOLDS).map(({ name }) => name)
      : complaints(results, { mode, store: place }, checks.length === suite.length);
  for (const line of wrong) say(`  ${line}`);
  say(`${wrong.length} not as docs/SEMANTICS.md says`);
  return wrong.length === 0 && results.length > 0 ? 0 : 1;
}

// The SDK's notice about older versions of Node would stand between the lines.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
const task = taskOf(process.argv.slice(2));
if (task === undefined) {
  const names = ['tmpfs', ...storeNames].join(' | ');
  say(
    `usage: test-posix [--server ${names}] [--mode default | posix] [--mount FLAG] [--only WORD]`,
  );
  process.exit(2);
}
try {
  process.exitCode = await main(task, stopSignal());
} catch (error) {
  process.stderr.write(`test-posix: ${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = 1;
}
