/**
 * `npm run test:faults [-- --seed N] [--minutes M] [--rounds N] [--server NAME] [--show]
 * [--evidence DIR]`: a real
 * mount under mixed load while things fail: identity provider, token service, store, network,
 * clock, disk and the process itself. After each round every acknowledged byte is compared.
 *
 *   --seed N        of the first round; each next one has the next (default: of the time)
 *   --minutes M     begin no further round after so long (default 2)
 *   --rounds N      at most so many rounds
 *   --server NAME   playground (default), rgw or minio
 *   --show          what is planned and done, as it happens
 *   --evidence DIR  keep logs and access logs of the mounts there
 *
 * A seed draws the same options, load and faults again; when a request meets a fault depends on
 * the machine, so that a failure may take a few tries to be seen again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type StoreName, storeNames } from '../bench/stores/bench-store.ts';
import { MiB } from '../src/lib/bytes.ts';
import { drawRound, type RoundPlan } from './faults/plan.ts';
import { faultRound, type RoundReport } from './faults/round.ts';
import { FaultSite } from './faults/site.ts';
import { runUntilStopped } from './stop-signal.ts';
import { tallyLine } from './tally.ts';

interface Command {
  readonly seed: number;
  readonly minutes: number;
  readonly rounds: number;
  readonly server: StoreName;
  readonly shows: boolean;
  readonly evidence: string | undefined;
}

const USAGE = `usage: npm run test:faults -- [--seed N] [--minutes M] [--rounds N] [--server ${storeNames.join('|')}] [--show] [--evidence DIR]\n`;
/** Set in the mount namespace that this run has made for itself. */
const INSIDE = 'WIRE_FAULTS_INSIDE';
/** Of what is wrong in one round. */
const MOST_TOLD = 20;
/** Calls that hang hold a thread each (Node `libuv` thread pool). */
const THREADS = '32';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Undefined when it is none of ours. */
function readCommand(): Command | undefined {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      minutes: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '100000' },
      server: { type: 'string', default: 'playground' },
      show: { type: 'boolean', default: false },
      evidence: { type: 'string' },
    },
  });
  const [seed, minutes, rounds] = [values.seed, values.minutes, values.rounds].map(Number);
  const server = storeNames.find((name) => name === values.server);
  const areNumbers = [seed, minutes, rounds].every((each) => each !== undefined && each >= 0);
  if (server === undefined || !areNumbers) return undefined;
  return {
    seed: seed ?? 0,
    minutes: minutes ?? 0,
    rounds: rounds ?? 0,
    server,
    shows: values.show,
    evidence: values.evidence,
  };
}

class Totals {
  rounds = 0;
  failed = 0;
  acknowledged = 0;
  refused = 0;
  bytesRead = 0;
  bytesWritten = 0;
  bytesChecked = 0;
  filesChecked = 0;

  add(report: RoundReport): void {
    this.rounds += 1;
    if (report.wrong.length > 0) this.failed += 1;
    this.acknowledged += report.acknowledged;
    this.refused += Object.values(report.refused).reduce((sum, count) => sum + count, 0);
    this.bytesRead += report.bytesRead;
    this.bytesWritten += report.bytesWritten;
    this.bytesChecked += report.bytesChecked;
    this.filesChecked += report.filesChecked;
  }

  get line(): string {
    const inMiB = (bytes: number): string => `${(bytes / MiB).toFixed(0)} MiB`;
    return [
      `${this.rounds} rounds`,
      `${this.acknowledged} calls acknowledged, ${this.refused} refused`,
      `${inMiB(this.bytesWritten)} written, ${inMiB(this.bytesRead)} read and compared`,
      `${this.filesChecked} files, ${inMiB(this.bytesChecked)} checked in the end`,
    ].join('; ');
  }
}

function describePlan({
  seed,
  writeBack,
  cache,
  memory,
  ownClock,
  posix,
  faults,
}: RoundPlan): string {
  const flags = [`write-back ${writeBack}`, `cache ${cache}`, memory];
  if (posix) flags.push('posix');
  if (ownClock) flags.push('clock of its own');
  return `seed ${seed}: ${flags.join(', ')}; ${faults.length} faults`;
}

function describeRound(report: RoundReport): string {
  const { acknowledged, refused, filesChecked, kept, held, seconds } = report;
  const errors = Object.entries(refused).map(([name, count]) => `${name} ${count}`);
  return [
    `${acknowledged} acknowledged`,
    `refused ${errors.length === 0 ? 'nothing' : errors.join(', ')}`,
    `${filesChecked} files right`,
    `${kept} put aside`,
    `${held.files.length} files and ${held.sockets} sockets open, ${held.memoryMb.toFixed(0)} MB`,
    `${seconds.toFixed(0)} s`,
  ].join('; ');
}

async function main(command: Command, signal: AbortSignal): Promise<number> {
  const { seed: first, minutes, rounds, server, shows, evidence } = command;
  if (evidence !== undefined) await mkdir(evidence, { recursive: true });
  await using site = await FaultSite.open({ server, seed: first, evidence }, signal);
  const { clock, disk } = site.abilities;
  say(`on ${site.store.version}, seeds from ${first}`);
  if (!clock) say("without clock jumps: Debian's libfaketime is not here");
  if (!disk) say('without full disks: only root may mount one');
  const totals = new Totals();
  const end = performance.now() + minutes * 60_000;
  for (let seed = first; seed < first + rounds && performance.now() < end; seed += 1) {
    const plan = drawRound(seed, site.abilities);
    say(describePlan(plan));
    const started = performance.now();
    const at = (): string => ((performance.now() - started) / 1000).toFixed(1);
    const tell = shows
      ? (line: string): void => say(`  ${at()} s: ${line}`)
      : (): void => undefined;
    const report = await faultRound(site, plan, tell, signal);
    totals.add(report);
    say(`  ${describeRound(report)}`);
    for (const wrong of report.wrong.slice(0, MOST_TOLD)) say(`  WRONG ${wrong}`);
    const untold = report.wrong.length - MOST_TOLD;
    if (untold > 0) say(`  and ${untold} more`);
    if (report.wrong.length > 0) say(`  again: --seed ${seed} --rounds 1 --server ${server}`);
  }
  const counts = [...site.proxy.rules.counts].toSorted(([a], [b]) => (a < b ? -1 : 1));
  say(`\nfaults: ${counts.map(([name, count]) => `${name} ${count}`).join(', ')}`);
  say(totals.line);
  const { rounds: total, failed } = totals;
  say(`\n${tallyLine({ passed: total - failed, failed, skipped: 0 })}`);
  return totals.failed === 0 && totals.rounds > 0 ? 0 : 1;
}

/**
 * The same command in a mount namespace of its own: whatever becomes of it, no mount of it is seen
 * by anybody else or outlives it (mount_namespaces(7)).
 */
async function runInside(): Promise<number> {
  const args = ['--mount', '--propagation', 'private', process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, [INSIDE]: '1', UV_THREADPOOL_SIZE: THREADS };
  // In a group of its own: a signal to all of this one must not reach it twice.
  const child = spawn('unshare', args, { stdio: 'inherit', env, detached: true });
  const passOn = (name: NodeJS.Signals): void => void child.kill(name);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, passOn);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 130;
}

const command = readCommand();
if (command === undefined) {
  process.stderr.write(USAGE);
  process.exit(2);
}
if (process.geteuid?.() === 0 && process.env[INSIDE] === undefined) {
  process.exit(await runInside());
}
delete process.env['AWS_CA_BUNDLE'];
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
await runUntilStopped('test-faults', async (signal) => await main(command, signal));
