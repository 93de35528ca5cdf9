import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import { StagedFile } from './staged-file.ts';

/** Only what is named so is ever removed. */
const STAGED_PREFIX = 'staged-';

/** The folder where files being written have their bytes. */
export class StagingArea {
  readonly #folder: string;
  readonly #clock: Clock;
  #ready: Promise<void> | undefined;

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Content that begins as nothing; `base` is the version it will replace. */
  async create(base: ObjectVersion | undefined): Promise<StagedFile> {
    await this.prepare();
    const name = `${STAGED_PREFIX}${randomBytes(12).toString('hex')}`;
    return new StagedFile(path.join(this.#folder, name), base, this.#clock.now());
  }

  /** Makes the folder and removes what a crash left: nobody was told that it is saved. */
  async prepare(): Promise<void> {
    this.#ready ??= this.#prepare();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }

  /** Moves bytes that could not be saved to a name of their own, and returns where they are. */
  async keep(staged: StagedFile, fileName: string): Promise<string> {
    const kept = path.join(this.#folder, 'kept');
    await mkdir(kept, { recursive: true, mode: 0o700 });
    const time = new Date(this.#clock.now()).toISOString().replaceAll(':', '');
    const safe = fileName.replaceAll(/[^\w.-]/g, '_').slice(-100);
    const target = path.join(kept, `${time}-${randomBytes(4).toString('hex')}-${safe}`);
    await staged.keep(target);
    return target;
  }

  async #prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    const left = (await readdir(this.#folder)).filter((name) => name.startsWith(STAGED_PREFIX));
    await Promise.all(left.map(async (name) => await rm(path.join(this.#folder, name))));
  }
}
