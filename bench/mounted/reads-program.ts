/** bench/baseline/reads.c: how programs read files, timed from their side. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { run } from '../../scripts/demo/programs.ts';

/** Where the compiled program goes; not in the repository's history. */
const OUTPUT_FOLDER = join('build', 'bench', 'baseline');

/** One line of JSON. */
interface Printed {
  readonly operations: number;
  readonly seconds: number;
}

export class ReadsProgram {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  static async compile(signal: AbortSignal): Promise<ReadsProgram> {
    await mkdir(OUTPUT_FOLDER, { recursive: true });
    const path = resolve(OUTPUT_FOLDER, 'reads');
    await run('gcc', ['-O2', '-o', path, join('bench', 'baseline', 'reads.c')], signal);
    return new ReadsProgram(path);
  }

  /**
   * Seconds for 4 KiB at each of `offsets`, past the page cache, by so many processes at once.
   *
   * @throws Error when one of them is not what was uploaded.
   */
  async random(
    file: string,
    offsets: readonly number[],
    processes: number,
    signal: AbortSignal,
  ): Promise<number> {
    return (await this.#run(['random', file, String(processes)], offsets, signal)).seconds;
  }

  /** Each of the files `f000`… in `folder` by a process of its own, all at once. */
  async whole(
    folder: string,
    files: number,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: number; readonly seconds: number }> {
    const { operations: bytes, seconds } = await this.#run(
      ['whole', folder, String(files)],
      [],
      signal,
    );
    return { bytes, seconds };
  }

  /** Seconds for stat(2) of each of these, one after the other. */
  async stat(folder: string, names: readonly string[], signal: AbortSignal): Promise<number> {
    return (await this.#run(['stat', folder], names, signal)).seconds;
  }

  async #run(
    args: readonly string[],
    lines: readonly (string | number)[],
    signal: AbortSignal,
  ): Promise<Printed> {
    const child = spawn(this.#path, args, { stdio: ['pipe', 'pipe', 'inherit'], signal });
    const closed = once(child, 'close');
    closed.catch(() => undefined); // awaited below
    child.stdin.on('error', () => undefined); // it ended: told by its exit code
    child.stdin.end(lines.map((line) => `${line}\n`).join(''));
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const [code] = (await closed) as [number | null];
    if (code !== 0) throw new Error(`reads ${args.join(' ')} ended with ${code ?? 'a signal'}`);
    return JSON.parse(text) as Printed;
  }
}
