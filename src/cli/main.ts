/**
 * The command `wire`: `bin/wire.js` imports this file. Whatever happens, a person
 * gets one line and an exit code of `lib/wire-error.ts`; stack traces go to the log.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { receiveSecrets } from '../daemon/detach.ts';
import { takeEnvironment } from '../daemon/private-environment.ts';
import { packageRoot } from '../lib/package-root.ts';
import { redactKnown } from '../lib/secret.ts';
import { endingOf } from './failure.ts';
import { harden } from './hardening.ts';
import { runCli } from './run.ts';
import { type ProcessLog, processSurroundings } from './surroundings.ts';
import type { Terminal } from './terminal.ts';

const warnings = harden(process);
let terminal: Terminal | undefined;
let processLog: ProcessLog | undefined;
process.on('uncaughtException', die);
process.on('unhandledRejection', die);
void main();

/** Not at the top of the module: the command is bundled as CommonJS, which cannot wait there. */
async function main(): Promise<void> {
  const environment = { ...takeEnvironment(process.env), ...(await receiveSecrets(process)) };
  // A reader that has gone away (`wire status | head -1`) is no reason to fail, nor to unmount.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const version = ownVersion();
  const surroundings = processSurroundings(version, environment, (log) => {
    processLog = log;
  });
  terminal = surroundings.terminal;
  process.on('exit', () => terminal?.restore());
  for (const line of warnings) terminal.say(`Warning: ${line}`);
  const words = process.argv.slice(2);
  // By its other name it takes the words of the program that it replaces.
  const isStsWire = basename(process.argv[1] ?? '').startsWith('sts-wire');
  const run = isStsWire ? (await import('./sts-wire/run.ts')).runStsWire : runCli;
  process.exit(await run({ words, version, logFile: () => processLog?.file }, surroundings));
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  return (manifest as { readonly version: string }).version;
}

/** Nobody caught it. */
function die(error: unknown): void {
  const { line, exitCode } = endingOf(error, processLog?.file);
  const stack = error instanceof Error ? error.stack : undefined;
  processLog?.log.error('crashed', { error, stack });
  if (line !== undefined && terminal !== undefined) terminal.fail(line);
  else if (line !== undefined) process.stderr.write(`wire: ${redactKnown(line)}\n`);
  process.exit(exitCode === 0 ? 1 : exitCode);
}
