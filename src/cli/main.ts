/**
 * The command `wire`: `bin/wire.js` imports this file. Whatever happens, a person
 * gets one line and an exit code of `lib/wire-error.ts`; stack traces go to the log.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { receiveSecrets } from '../daemon/detach.ts';
import { takeEnvironment } from '../daemon/private-environment.ts';
import { packageRoot } from '../lib/package-root.ts';
import { endingOf } from './failure.ts';
import { harden } from './hardening.ts';
import { runCli } from './run.ts';
import { type ProcessLog, processSurroundings } from './surroundings.ts';

const warnings = harden(process);
const environment = { ...takeEnvironment(process.env), ...(await receiveSecrets(process)) };
// A reader that has gone away (`wire status | head -1`) is no reason to fail, nor to unmount.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  readonly version: string;
};

let processLog: ProcessLog | undefined;
const surroundings = processSurroundings(version, environment, (log) => {
  processLog = log;
});
process.on('exit', () => surroundings.terminal.restore());
for (const line of warnings) surroundings.terminal.say(`Warning: ${line}`);

function die(error: unknown): void {
  const { line, exitCode } = endingOf(error, processLog?.file);
  const stack = error instanceof Error ? error.stack : undefined;
  processLog?.log.error('crashed', { error, stack });
  if (line !== undefined) surroundings.terminal.fail(line);
  process.exit(exitCode === 0 ? 1 : exitCode);
}
process.on('uncaughtException', die);
process.on('unhandledRejection', die);

const words = process.argv.slice(2);
// By its other name it takes the words of the program that it replaces.
const isStsWire = basename(process.argv[1] ?? '').startsWith('sts-wire');
const run = isStsWire ? (await import('./sts-wire/run.ts')).runStsWire : runCli;
process.exit(await run({ words, version, logFile: () => processLog?.file }, surroundings));
