/** bench/baseline/reads.c: how programs read files, timed from their side. */
import { BaselineProgram } from './baseline-program.ts';

export class ReadsProgram {
  readonly #program: BaselineProgram;

  private constructor(program: BaselineProgram) {
    this.#program = program;
  }

  static async compile(signal: AbortSignal): Promise<ReadsProgram> {
    return new ReadsProgram(await BaselineProgram.compile('reads', signal));
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
    const args = ['random', file, String(processes)];
    return (await this.#program.run(args, offsets, signal)).seconds;
  }

  /** Each of the files `f000`… in `folder` by a process of its own, all at once. */
  async whole(
    folder: string,
    files: number,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: number; readonly seconds: number }> {
    const args = ['whole', folder, String(files)];
    const { operations: bytes, seconds } = await this.#program.run(args, [], signal);
    return { bytes, seconds };
  }

  /** Seconds for stat(2) of each of these, one after the other. */
  async stat(folder: string, names: readonly string[], signal: AbortSignal): Promise<number> {
    return (await this.#program.run(['stat', folder], names, signal)).seconds;
  }
}
