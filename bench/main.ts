/**
 * `npm run bench -- SUITE [--json FILE] [--rounds N] [--only NAME]...`: measures one suite and
 * prints its table. Suites that mount a bucket also take:
 *
 *   --server NAME   playground (default), rgw or minio
 *   --rtt MS        0 or 20, the round trip to it (default: both)
 *   --tls           near it and over TLS, through nginx, instead
 *   --profile       one more round with V8's CPU profiles, in build/bench/profiles
 */
import { writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { stopSignal } from '../scripts/stop-signal.ts';
import { GiB } from '../src/lib/bytes.ts';
import { measureIdentity } from './identity/suite.ts';
import { measureMetadata } from './metadata/suite.ts';
import { measureRead } from './read/suite.ts';
import { formatReport, type Measurement, resultOf, type SuiteReport } from './report.ts';
import { measureStart } from './start.ts';
import { type StoreName, storeNames } from './stores/bench-store.ts';
import { measureTransport } from './transport/suite.ts';
import { measureWrite } from './write/suite.ts';

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
  readonly server: StoreName;
  /** Round trips to the server, in ms. */
  readonly rtts: readonly number[];
  /** Over TLS, near the server, instead of `rtts`. */
  readonly tls: boolean;
  readonly profile: boolean;
  readonly signal: AbortSignal;
}

const suites: Readonly<Record<string, (options: SuiteOptions) => Promise<SuiteOutcome>>> = {
  identity: measureIdentity,
  metadata: measureMetadata,
  read: measureRead,
  start: measureStart,
  transport: measureTransport,
  write: measureWrite,
};

const DEFAULT_ROUNDS = 5;
const allRtts: readonly number[] = [0, 20];

function describeMachine(): string {
  const memory = Math.round(totalmem() / GiB);
  return `${cpus().length} cores, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}

interface Command {
  readonly suite: string;
  readonly options: Omit<SuiteOptions, 'signal'>;
  readonly json: string | undefined;
}

/** Undefined when it is none of ours. */
function readCommand(): Command | undefined {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      server: { type: 'string', default: 'playground' },
      rtt: { type: 'string' },
      tls: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
    },
  });
  const [suite = ''] = positionals;
  const { json, only, tls, profile } = values;
  const rounds = Number(values.rounds ?? DEFAULT_ROUNDS);
  const server = storeNames.find((name) => name === values.server);
  const rtts = values.rtt === undefined ? allRtts : [Number(values.rtt)];
  const isPossible = rtts.every((rtt) => allRtts.includes(rtt)) && Object.hasOwn(suites, suite);
  if (!isPossible || server === undefined || !Number.isInteger(rounds) || rounds < 1) {
    return undefined;
  }
  return { suite, json, options: { rounds, only, server, rtts, tls, profile } };
}

async function main(signal: AbortSignal): Promise<number> {
  const command = readCommand();
  const suite = suites[command?.suite ?? ''];
  if (command === undefined || suite === undefined) {
    process.stderr.write(
      `usage: npm run bench -- SUITE [--json FILE] [--rounds N] [--only NAME]... [--server ${storeNames.join('|')}] [--rtt ${allRtts.join('|')} | --tls] [--profile]; SUITE one of: ${Object.keys(suites).join(' ')}\n`,
    );
    return 2;
  }
  // Everything is on loopback: programs of others stop at a bundle that they do not like.
  delete process.env['AWS_CA_BUNDLE'];
  // Stores are filled with the SDK; its notice about Node versions is not ours.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  const { measurements, notes } = await suite({ ...command.options, signal });
  const report: SuiteReport = {
    suite: command.suite,
    machine: describeMachine(),
    results: measurements.map(resultOf),
    notes,
  };
  process.stdout.write(`${formatReport(report)}\n`);
  if (command.json !== undefined) await writeFile(command.json, `${JSON.stringify(report)}\n`);
  return 0;
}

const signal = stopSignal();
try {
  process.exitCode = await main(signal);
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error;
  if (!signal.aborted && !isUsage) throw error;
  process.stderr.write(`bench: ${isUsage ? error.message : 'interrupted'}\n`);
  process.exitCode = isUsage ? 2 : 130;
}
