/** Runs other programs and says plainly what they answered when they fail. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called with each line of stderr as it comes. */
  readonly onStderr?: (line: string) => void;
  /** Exit codes other than 0 that are an answer, not a failure (grep's 1). */
  readonly allow?: readonly number[];
}

/** Kept for messages; a program's output beyond this is dropped from the front. */
const KEPT_OUTPUT_CHARS = 1_000_000;

/**
 * Resolves when `program` has ended well.
 *
 * @throws Error with the end of its stderr when it has not.
 */
export async function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  options: ProgramOptions = {},
): Promise<Finished> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const stdout = collect(child.stdout, undefined);
  const stderr = collect(child.stderr, options.onStderr);
  const exitCode = await ended(child);
  const finished = { exitCode, stdout: stdout(), stderr: stderr() };
  if (exitCode !== 0 && options.allow?.includes(exitCode) !== true) {
    const words = `${finished.stderr}${finished.stdout}`.trim().split('\n').slice(-5).join('\n');
    throw new Error(`${program} ${args.join(' ')} ended with ${exitCode}:\n${words}`);
  }
  return finished;
}

function collect(stream: NodeJS.ReadableStream, onLine?: (line: string) => void): () => string {
  let text = '';
  let partial = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text = (text + chunk).slice(-KEPT_OUTPUT_CHARS);
    if (onLine === undefined) return;
    const lines = (partial + chunk).split('\n');
    partial = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  return () => text;
}

async function ended(child: ChildProcess): Promise<number> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) => resolve(code ?? (killedBy === null ? 1 : 128)));
  });
}
