/** bench/baseline/writes.c: how programs write files, timed from their side. */
import { KiB } from '../../src/lib/bytes.ts';
import { BaselineProgram } from './baseline-program.ts';

/** Of each small file. */
export const SMALL_BYTES: number = 4 * KiB;

export interface SmallFiles {
  readonly folder: string;
  readonly files: number;
  /** Processes at once. */
  readonly writers: number;
  /** `each`: fdatasync before each close; `folder`: fsync of the folder at the end. */
  readonly sync?: 'each' | 'folder';
}

export class WritesProgram {
  readonly #program: BaselineProgram;

  private constructor(program: BaselineProgram) {
    this.#program = program;
  }

  static async compile(signal: AbortSignal): Promise<WritesProgram> {
    return new WritesProgram(await BaselineProgram.compile('writes', signal));
  }

  /** Seconds for new files of `SMALL_BYTES`, each created, written and closed. */
  async small({ folder, files, writers, sync }: SmallFiles, signal: AbortSignal): Promise<number> {
    const how = sync === undefined ? [] : [sync === 'each' ? 'sync' : 'folder'];
    const args = ['small', folder, String(files), String(writers), ...how];
    return (await this.#program.run(args, [], signal)).seconds;
  }

  /** Seconds for one byte at `offset` of a file that is there, until it is closed. */
  async patch(file: string, offset: number, signal: AbortSignal): Promise<number> {
    return (await this.#program.run(['patch', file, String(offset)], [], signal)).seconds;
  }
}
