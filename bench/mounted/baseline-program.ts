/** A program of bench/baseline in C, compiled here: it uses files as programs do, from their side. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { run } from '../../scripts/demo/programs.ts';

/** Where compiled programs go; not in the repository's history. */
const OUTPUT_FOLDER = join('build', 'bench', 'baseline');

/** One line of JSON. */
export interface Printed {
  readonly operations: number;
  readonly seconds: number;
}

export class BaselineProgram {
  readonly #name: string;
  readonly #path: string;

  private constructor(name: string, path: string) {
    this.#name = name;
    this.#path = path;
  }

  /** bench/baseline/NAME.c */
  static async compile(name: string, signal: AbortSignal): Promise<BaselineProgram> {
    await mkdir(OUTPUT_FOLDER, { recursive: true });
    const path = resolve(OUTPUT_FOLDER, name);
    await run('gcc', ['-O2', '-o', path, join('bench', 'baseline', `${name}.c`)], signal);
    return new BaselineProgram(name, path);
  }

  /** @throws Error when it does not end well. */
  async run(
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
    if (code === 0) return JSON.parse(text) as Printed;
    throw new Error(`${this.#name} ${args.join(' ')} ended with ${code ?? 'a signal'}`);
  }
}
