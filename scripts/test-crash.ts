/**
 * `npm run test:crash [-- --rounds N] [--server NAME] [--write-back MODE] [--seed N]`: kills a mount
 * with SIGKILL at random moments while programs write to it, mounts again, and compares every
 * acknowledged byte and name with the bucket and with what the mount shows.
 *
 *   --rounds N          default 20; 200 is the full number
 *   --server NAME       playground (default), rgw or minio
 *   --write-back MODE   off (default), on or durable
 *   --seed N            of the first round; each next one has the next (default: of the time)
 */
import { parseArgs } from 'node:util';
import { BenchScene } from '../bench/mounted/scene.ts';
import { type StoreName, storeNames } from '../bench/stores/bench-store.ts';
import { MiB } from '../src/lib/bytes.ts';
import { crashOnce, type RoundReport, type WriteBack } from './crash/round.ts';
import { runUntilStopped } from './stop-signal.ts';
import { tallyLine } from './tally.ts';

interface Command {
  readonly rounds: number;
  readonly server: StoreName;
  readonly writeBack: WriteBack;
  readonly seed: number;
}

const DEFAULT_ROUNDS = 20;
const modes: readonly WriteBack[] = ['off', 'on', 'durable'];
const USAGE = `usage: npm run test:crash -- [--rounds N] [--server ${storeNames.join('|')}] [--write-back ${modes.join('|')}] [--seed N]\n`;

/** Undefined when it is none of ours. */
function readCommand(): Command | undefined {
  try {
    return parseCommand();
  } catch {
    return undefined;
  }
}

/** @throws TypeError for an unknown option. */
function parseCommand(): Command | undefined {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
      server: { type: 'string', default: 'playground' },
      'write-back': { type: 'string', default: 'off' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    },
  });
  const [rounds, seed] = [Number(values.rounds), Number(values.seed)];
  const server = storeNames.find((name) => name === values.server);
  const writeBack = modes.find((mode) => mode === values['write-back']);
  const arePossible = Number.isInteger(rounds) && rounds > 0 && Number.isInteger(seed);
  if (server === undefined || writeBack === undefined || !arePossible) return undefined;
  return { rounds, server, writeBack, seed };
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function describeRound(seed: number, report: RoundReport): string {
  const under = report.pending.filter((each) => each !== 'none');
  return [
    `seed ${seed}: killed after ${report.killedAfterMs} ms`,
    `${report.acknowledged} acknowledged`,
    `${report.files} files right`,
    `under way ${under.length === 0 ? 'nothing' : under.join(', ')}`,
    `recovered in ${report.recoveredMs.toFixed(0)} ms`,
  ].join('; ');
}

async function main(command: Command, signal: AbortSignal): Promise<number> {
  delete process.env['AWS_CA_BUNDLE'];
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  const { rounds, server, writeBack, seed: first } = command;
  await using scene = await BenchScene.open(server, signal);
  say(`${rounds} rounds on ${scene.store.version}, --write-back=${writeBack}, seeds from ${first}`);
  const total = { acknowledged: 0, bytes: 0, files: 0, failed: 0, longestMs: 0 };
  for (let seed = first; seed < first + rounds; seed += 1) {
    const started = performance.now();
    const report = await crashOnce(scene, { writeBack, seed }, signal);
    total.longestMs = Math.max(total.longestMs, performance.now() - started);
    total.acknowledged += report.acknowledged;
    total.bytes += report.bytes;
    total.files += report.files;
    say(describeRound(seed, report));
    if (report.wrong.length === 0) continue;
    total.failed += 1;
    for (const wrong of report.wrong) say(`  WRONG ${wrong}`);
    say(`  again: --seed ${seed} --rounds 1 --server ${server} --write-back ${writeBack}`);
  }
  const { acknowledged, bytes, files, failed, longestMs } = total;
  say(
    `${rounds} kills, ${failed} rounds wrong; ${acknowledged} calls acknowledged, ${(bytes / MiB).toFixed(0)} MiB written and ${files} files checked; longest round ${(longestMs / 1000).toFixed(1)} s`,
  );
  say(`\n${tallyLine({ passed: rounds - failed, failed, skipped: 0 })}`);
  return failed === 0 ? 0 : 1;
}

const command = readCommand();
if (command === undefined) {
  process.stderr.write(USAGE);
  process.exit(2);
}
await runUntilStopped('test-crash', async (signal) => await main(command, signal));
