/** A small disk that can be filled and emptied: a tmpfs, in the mount namespace of this run. */
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../demo/programs.ts';

/** Left on a full disk: what does not fit is refused somewhere in the middle of it. */
const LEFT_BYTES = 64 * 1024;

export class SmallDisk implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined for who may not mount. */
  static async mount(
    folder: string,
    bytes: number,
    signal: AbortSignal,
  ): Promise<SmallDisk | undefined> {
    if (process.geteuid?.() !== 0) return undefined;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const options = `size=${bytes},mode=0700`;
    await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], signal);
    return new SmallDisk(folder);
  }

  async fill(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#folder);
    const bytes = Math.max(0, bavail * bsize - LEFT_BYTES);
    await writeFile(this.#filling, Buffer.alloc(bytes, 'x')).catch(() => undefined); // full is full
  }

  async empty(): Promise<void> {
    await rm(this.#filling, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', ['-l', this.#folder], new AbortController().signal, { allow: [1, 32] });
  }

  get #filling(): string {
    return join(this.#folder, 'filling');
  }
}
