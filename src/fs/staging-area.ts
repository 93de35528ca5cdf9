/**
 * The folder where files being written have their bytes. Every life of a mount has a folder of
 * its own in it, and touches those of dead ones only: what they had not saved goes to `kept/`.
 */
import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { ObjectVersion, Upload } from '../store/object-store.ts';
import { isDirtyMode, StagedFile } from './staged-file.ts';
import { isDeadOwner, newOwnerName } from './staging-owner.ts';

/** `staged-<random>-<name of the file, made safe>` */
const STAGED = /^staged-[\da-f]{24}-/;
/** `upload-<random>.json` */
const NOTE = /^upload-[\da-f]{24}\.json$/;

/** An upload in parts that is under way: what it takes to give it up. */
export interface NotedUpload extends Upload {
  readonly bucket: string;
}

/** What a mount that has died left behind. */
export interface Leftovers {
  /** Where its unsaved bytes are now, and the name of the file they were for. */
  readonly kept: readonly { readonly name: string; readonly path: string }[];
  /** Each with how to forget it, once it is given up. */
  readonly uploads: readonly {
    readonly upload: NotedUpload;
    readonly forget: () => Promise<void>;
  }[];
}

export class StagingArea {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #own: string;
  #ready: Promise<void> | undefined;

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
    this.#own = path.join(folder, newOwnerName());
  }

  /** Content of the file `name` that begins as nothing; `base` is the version it will replace. */
  async create(name: string, base: ObjectVersion | undefined): Promise<StagedFile> {
    await this.#prepared();
    const file = path.join(this.#own, `staged-${random()}-${safe(name)}`);
    return new StagedFile(file, base, this.#clock.now());
  }

  /** Moves bytes that could not be saved to a name of their own, and returns where they are. */
  async keep(staged: StagedFile, fileName: string): Promise<string> {
    const target = await this.#keptPath(safe(fileName));
    await staged.keep(target);
    return target;
  }

  /** Writes down that `upload` is under way; returns how to forget it. */
  async note(upload: NotedUpload): Promise<() => Promise<void>> {
    await this.#prepared();
    const file = path.join(this.#own, `upload-${random()}.json`);
    const { bucket, key, uploadId } = upload;
    await writeFile(file, JSON.stringify({ bucket, key, uploadId }), { mode: 0o600, flag: 'wx' });
    return async () => await rm(file, { force: true });
  }

  /** Takes over what dead mounts left here; asks for nothing that lives. */
  async takeOver(): Promise<Leftovers> {
    const kept: Leftovers['kept'][number][] = [];
    const uploads: Leftovers['uploads'][number][] = [];
    for (const name of await namesIn(this.#folder)) {
      if (!isDeadOwner(name)) continue;
      // Renaming makes it ours: another mount that looks at the same time finds nothing.
      const folder = path.join(this.#folder, newOwnerName());
      if (!(await isMoved(path.join(this.#folder, name), folder))) continue;
      for (const left of await namesIn(folder)) {
        const file = path.join(folder, left);
        if (STAGED.test(left)) kept.push(...(await this.#rescue(file, left.replace(STAGED, ''))));
        else if (NOTE.test(left)) uploads.push(...(await this.#uploadIn(file, folder)));
      }
      await rmdir(folder).catch(ignoreNotEmpty);
    }
    return { kept, uploads };
  }

  /** Takes this life's folder away, unless an upload is noted there that could not be given up. */
  async close(): Promise<void> {
    await this.#ready?.catch(() => undefined);
    await rmdir(this.#own).catch(ignoreNotEmpty);
  }

  /** Clean bytes are in the bucket; others are kept. */
  async #rescue(file: string, name: string): Promise<Leftovers['kept']> {
    if (!isDirtyMode((await stat(file)).mode)) {
      await rm(file);
      return [];
    }
    const target = await this.#keptPath(name);
    await rename(file, target);
    return [{ name, path: target }];
  }

  async #uploadIn(file: string, folder: string): Promise<Leftovers['uploads']> {
    const forget = async (): Promise<void> => {
      await rm(file, { force: true });
      await rmdir(folder).catch(ignoreNotEmpty);
    };
    const upload = uploadOf(await readFile(file, 'utf8'));
    if (upload !== undefined) return [{ upload, forget }];
    await forget();
    return [];
  }

  async #keptPath(safeName: string): Promise<string> {
    const kept = path.join(this.#folder, 'kept');
    await mkdir(kept, { recursive: true, mode: 0o700 });
    const time = new Date(this.#clock.now()).toISOString().replaceAll(':', '');
    return path.join(kept, `${time}-${randomBytes(4).toString('hex')}-${safeName}`);
  }

  async #prepared(): Promise<void> {
    this.#ready ??= this.#prepare();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }

  async #prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    await mkdir(this.#own, { recursive: true, mode: 0o700 });
  }
}

/** Undefined for a note that its writer did not live to finish. */
function uploadOf(note: string): NotedUpload | undefined {
  try {
    const { bucket, key, uploadId } = JSON.parse(note) as Partial<NotedUpload>;
    if (bucket === undefined || key === undefined || uploadId === undefined) return undefined;
    return { bucket, key, uploadId };
  } catch {
    return undefined;
  }
}

function random(): string {
  return randomBytes(12).toString('hex');
}

function safe(fileName: string): string {
  return fileName.replaceAll(/[^\w.-]/g, '_').slice(-100);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}

async function isMoved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function ignoreNotEmpty(error: unknown): void {
  // POSIX allows both names for a folder that is not empty.
  if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].some((code) => isCode(error, code))) throw error;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
