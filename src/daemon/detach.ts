/**
 * `--daemon`: the same command again, in a session of its own without a terminal. The starter
 * waits until the child says that it is ready, or why it is not, over an inherited channel. Nothing
 * secret is in argv or environment, which /proc shows for as long as the child runs: secrets of the
 * environment go through the channel, once the child asks for them.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { exitCodeOf, WireError } from '../lib/wire-error.ts';
import { conceal, parted, type Variables } from './private-environment.ts';
import type { StopSignals } from './stop-signals.ts';

/** Tells the child that somebody waits for its word. */
export const DETACHED_VARIABLE = 'WIRE_DETACHED';

/** What the child says first: that it is ready to be told the secrets of the environment. */
const ASK = { ask: 'secrets' } as const;

/** What the child says last, once. */
export type StartReport =
  | { readonly outcome: 'ready'; readonly lines: readonly string[] }
  | { readonly outcome: 'failed'; readonly line: string; readonly exitCode: number };

export interface DetachOptions {
  /** Node's own options, the script and its arguments. */
  readonly command: readonly string[];
  /** With the secrets that wire was given in it. */
  readonly environment: Variables;
  /** Takes the child's output, for what goes wrong after the start. */
  readonly logFile: string;
}

/** Signals to the starter before the child is ready go to the child, which then undoes its work. */
export async function startDetached(
  options: DetachOptions,
  signals: StopSignals,
): Promise<StartReport> {
  // Half of the commands start nothing.
  const { spawn } = await import('node:child_process');
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const log = openSync(options.logFile, flags, 0o600);
  const { open, secret } = parted(options.environment);
  try {
    const child = spawn(process.execPath, [...options.command], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...open, [DETACHED_VARIABLE]: '1' },
    });
    const listening = signals.listen(() => child.kill('SIGTERM'));
    try {
      return await new Promise<StartReport>((resolve, reject) => {
        child.on('message', (message) => {
          // A child that is gone already is told of below.
          if (isAsking(message)) child.send({ secrets: secret }, () => undefined);
          else resolve(readReport(message));
        });
        child.once('error', reject);
        // Not `exit`: what the child said last may still be on its way then.
        child.once('close', (code: number | null, by: NodeJS.Signals | null) =>
          resolve(diedSilently(code, by, options.logFile)),
        );
      });
    } finally {
      listening[Symbol.dispose]();
      if (child.connected) child.disconnect();
      child.unref();
    }
  } finally {
    closeSync(log);
  }
}

function isAsking(message: unknown): boolean {
  return (message as Partial<typeof ASK> | null)?.ask === ASK.ask;
}

function readReport(message: unknown): StartReport {
  const report = message as Partial<Record<string, unknown>> | null;
  const { lines, line, exitCode } = report ?? {};
  if (report?.['outcome'] === 'ready' && Array.isArray(lines)) {
    return { outcome: 'ready', lines: lines.map(String) };
  }
  if (typeof line === 'string' && typeof exitCode === 'number') {
    return { outcome: 'failed', line, exitCode };
  }
  return { outcome: 'failed', line: 'the process said nothing intelligible', exitCode: 1 };
}

function diedSilently(
  code: number | null,
  by: NodeJS.Signals | null,
  logFile: string,
): StartReport {
  const error = new WireError('internal', {
    tried: 'start in the background',
    answered: by === null ? `the process ended with ${code ?? 'no code'}` : `it was ended by ${by}`,
    next: `see ${logFile}`,
  });
  const exitCode = code === null || code === 0 ? exitCodeOf.internal : code;
  return { outcome: 'failed', line: error.toLine(), exitCode };
}

/** The child's end of the channel. */
export interface Starter {
  report(report: StartReport): Promise<void>;
  /** Aborts when the starter is gone before it was told. */
  readonly lost: AbortSignal;
}

/** Who waits for this process to be ready; undefined when nobody does. */
export function starterOf(child: NodeJS.Process): Starter | undefined {
  if (child.env[DETACHED_VARIABLE] !== '1' || child.send === undefined) return undefined;
  // Programs that this process starts are not waited for.
  Reflect.deleteProperty(child.env, DETACHED_VARIABLE);
  const lost = new AbortController();
  const gone = (): void => {
    lost.abort(new WireError('interrupted', { tried: 'mount', answered: 'the starter went away' }));
  };
  child.once('disconnect', gone);
  // It may have gone while its secrets were awaited.
  if (!child.connected) gone();
  return {
    lost: lost.signal,
    report: async (report) => {
      child.off('disconnect', gone);
      await new Promise<void>((resolve) => {
        if (child.send === undefined || !child.connected) resolve();
        else child.send(report, () => resolve());
      });
      if (child.connected) child.disconnect();
    },
  };
}

/** The secrets of the starter's environment, where this process was started in the background. */
export async function receiveSecrets(child: NodeJS.Process): Promise<Variables> {
  if (child.env[DETACHED_VARIABLE] !== '1' || child.send === undefined) return {};
  const secrets = await new Promise<Variables>((resolve) => {
    const gone = (): void => resolve({});
    child.once('disconnect', gone);
    child.once('message', (message) => {
      child.off('disconnect', gone);
      resolve(readSecrets(message));
    });
    child.send?.(ASK);
  });
  conceal(secrets);
  return secrets;
}

function readSecrets(message: unknown): Variables {
  const { secrets } = (message ?? {}) as { readonly secrets?: unknown };
  const entries = typeof secrets === 'object' && secrets !== null ? Object.entries(secrets) : [];
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}
