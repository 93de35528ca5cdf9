/**
 * The folder where files being written have their bytes. Every life of a mount has a folder of
 * its own in it, and touches those of dead ones only: what they had not saved goes to `kept/`.
 */
import { randomBytes } from 'node:crypto';
import {
  appendFile,
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
import type { Log } from '../lib/log.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { type BasePins, ContentBase } from './content-base.ts';
import { ContentDisk, isDirtyMode, reopenedDisk } from './content-disk.ts';
import { ContentMemory } from './content-memory.ts';
import { type LackNote, readLackNote, writeLackNote } from './content-notes.ts';
import type { ContentRecord, UnfinishedContent } from './content-record.ts';
import type { Place } from './directory-source.ts';
import { ExtentMap } from './extents.ts';
import type { MaybePromise } from './filesystem.ts';
import { keptName, localUser, safeName, type WhyKept } from './kept-names.ts';
import { StagedFile } from './staged-file.ts';
import { isDeadOwner, newOwnerName } from './staging-owner.ts';
import type { NotedUpload, UploadNote } from './upload-notes.ts';

/** `staged-<random>-<name of the file, made safe>` */
const STAGED = /^staged-(?<id>[\da-f]{24})-/;
/** `lacks-<random>.json`: what the staged file of the same random lacks; `.new` while it is written. */
const LACKS = /^lacks-[\da-f]{24}\.json(?:\.new)?$/;
/** `upload-<random>.json` */
const NOTE = /^upload-[\da-f]{24}\.json$/;

/** Bytes that were put aside. */
export interface KeptContent {
  /** Of the file they were for. */
  readonly name: string;
  readonly path: string;
  /** What is not in them. */
  readonly lacks?: LackNote;
}

/** Where the object is that a file is changed of, and how its bytes are read. */
export interface StagedOrigin {
  readonly place: () => Place;
  readonly pins: BasePins;
}

/** What a mount that has died left behind. */
export interface Leftovers {
  readonly kept: readonly KeptContent[];
  /** Each with how to forget it, once it is given up. */
  readonly uploads: readonly {
    readonly upload: NotedUpload;
    readonly forget: () => Promise<void>;
  }[];
}

/** Written beside kept bytes that are not all. */
const LACKS_SUFFIX = '.lacks.json';

export class StagingArea {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #own: string;
  readonly #memory: ContentMemory;
  readonly #names = new NameNumbers();
  #ready: Promise<void> | undefined;
  #isReady = false;

  constructor(folder: string, chunks: ChunkPool, clock: Clock, log: Log) {
    this.#folder = folder;
    this.#clock = clock;
    this.#own = path.join(folder, newOwnerName());
    this.#memory = new ContentMemory({ chunks, clock, log });
  }

  /** For what is written and not on the disk yet. */
  get memory(): ContentMemory {
    return this.#memory;
  }

  /** The folder of this life of the mount; there once something was staged. */
  get own(): string {
    return this.#own;
  }

  /** Content of the file `name` that begins as nothing, and is to be a new object. */
  create(name: string): MaybePromise<StagedFile> {
    const begin = (): StagedFile => {
      const disk = this.#disk(name);
      const nowMs = this.#clock.now();
      return new StagedFile({ base: undefined, disk, memory: this.#memory, nowMs });
    };
    return this.#isReady ? begin() : this.#prepared().then(begin);
  }

  /** Content of the file `name` that begins as the first `baseBytes` of `base`. */
  async begin(
    name: string,
    origin: StagedOrigin,
    base: ObjectVersion,
    baseBytes: number,
  ): Promise<StagedFile> {
    const disk = await this.#place(name);
    const reads = new ContentBase(origin.pins);
    const describe = describeAt(disk, origin.place);
    const nowMs = this.#clock.now();
    return new StagedFile({ base, baseBytes, reads, disk, memory: this.#memory, nowMs, describe });
  }

  /** Content that a journal has written down (`StagedFile.record`): it is unsaved. */
  async restore(name: string, record: ContentRecord, origin: StagedOrigin): Promise<StagedFile> {
    const { base, content, bytes } = record;
    const fresh = await this.#place(name);
    const reads = base && new ContentBase(origin.pins);
    const disk = 'file' in content ? await reopenedDisk(content.file) : fresh;
    const describe = describeAt(disk, origin.place);
    const extents = ExtentMap.decode(record.extents, bytes);
    const nowMs = this.#clock.now();
    const memory = this.#memory;
    const staged = new StagedFile({ base, reads, disk, memory, nowMs, describe, extents });
    staged.exclusive = record.exclusive;
    staged.touch(nowMs);
    if ('inline' in content) await staged.fillIn(content.inline);
    return staged;
  }

  /** The same for bytes that were kept without all of them, and of which `lacks` tells. */
  async reopen({ path: file, lacks }: KeptContent, pins: BasePins): Promise<StagedFile> {
    const note = lacks ?? { base: undefined, bytes: 0, extents: [] };
    const disk = await reopenedDisk(file);
    const describe = async (content: UnfinishedContent | undefined): Promise<void> => {
      if (content === undefined) await rm(file + LACKS_SUFFIX, { force: true });
    };
    const { base, bytes } = note;
    const extents = ExtentMap.decode(note.extents, bytes);
    const options = { base, reads: new ContentBase(pins), disk, memory: this.#memory, describe };
    const nowMs = this.#clock.now();
    const staged = new StagedFile({ ...options, nowMs, extents });
    staged.touch(nowMs);
    return staged;
  }

  /**
   * Moves bytes that could not be saved to a name of their own, and returns where they are. A note
   * beside them tells what they lack, and of which object, where that is known.
   */
  async keep(
    staged: StagedFile,
    fileName: string,
    place: Place | undefined,
    why: WhyKept,
  ): Promise<string> {
    const target = await this.#keptPath(fileName, why);
    const lacks = staged.lacks;
    if (lacks !== undefined && place !== undefined) {
      await writeLackNote(target + LACKS_SUFFIX, noteOf(lacks, place));
    }
    await staged.keep(target);
    return target;
  }

  /** Writes down that an upload begins: a file, which gets a second line when it has. */
  async note({ bucket, key }: Omit<NotedUpload, 'uploadId'>): Promise<UploadNote> {
    await this.#prepared();
    const file = path.join(this.#own, `upload-${this.#names.next()}.json`);
    const first = { bucket, key, notedMs: this.#clock.now() };
    await writeFile(file, `${JSON.stringify(first)}\n`, { mode: 0o600, flag: 'wx' });
    return {
      begun: async (uploadId) =>
        await appendFile(file, `${JSON.stringify({ ...first, uploadId })}\n`),
      forget: async () => await rm(file, { force: true }),
    };
  }

  /**
   * Takes over what dead mounts left here; asks for nothing that lives.
   *
   * @param claimed names in such a folder that somebody else looks after; it may take the folder.
   */
  async takeOver(
    claimed: (folder: string) => Promise<ReadonlySet<string>> = nothingClaimed,
  ): Promise<Leftovers> {
    const kept: KeptContent[] = [];
    const uploads: Leftovers['uploads'][number][] = [];
    for (const name of await namesIn(this.#folder)) {
      if (!isDeadOwner(name)) continue;
      // Renaming makes it ours: another mount that looks at the same time finds nothing.
      const folder = path.join(this.#folder, newOwnerName());
      if (!(await isMoved(path.join(this.#folder, name), folder))) continue;
      const others = await claimed(folder);
      const names = (await namesIn(folder)).filter((one) => !others.has(one));
      for (const left of names) {
        const file = path.join(folder, left);
        if (STAGED.test(left)) kept.push(...(await this.#rescue(folder, left)));
        else if (NOTE.test(left)) uploads.push(...(await this.#uploadIn(file, folder)));
      }
      // Those of files that are gone, or had nothing on the disk yet.
      for (const left of names.filter((name) => LACKS.test(name))) {
        await rm(path.join(folder, left), { force: true });
      }
      await rmdir(folder).catch(ignoreNotEmpty);
    }
    return { kept, uploads };
  }

  /** Takes this life's folder away, unless an upload is noted there that could not be given up. */
  async close(): Promise<void> {
    await this.#memory[Symbol.asyncDispose]();
    await this.#ready?.catch(() => undefined);
    await rmdir(this.#own).catch(ignoreNotEmpty);
  }

  async #place(name: string): Promise<ContentDisk> {
    await this.#prepared();
    return this.#disk(name);
  }

  #disk(name: string): ContentDisk {
    return new ContentDisk(`${this.#own}${path.sep}staged-${this.#names.next()}-${safeName(name)}`);
  }

  /** Clean bytes are in the bucket; others are kept. */
  async #rescue(folder: string, staged: string): Promise<readonly KeptContent[]> {
    const file = path.join(folder, staged);
    const lacksFile = lackNoteOf(file);
    const lacks = await readLackNote(lacksFile);
    await rm(lacksFile, { force: true });
    if (!isDirtyMode((await stat(file)).mode)) {
      await rm(file);
      return [];
    }
    const name = staged.replace(STAGED, '');
    const target = await this.#keptPath(name, 'unsaved');
    if (lacks !== undefined) await writeLackNote(target + LACKS_SUFFIX, lacks);
    await rename(file, target);
    return [lacks === undefined ? { name, path: target } : { name, path: target, lacks }];
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

  async #keptPath(fileName: string, why: WhyKept): Promise<string> {
    const kept = path.join(this.#folder, 'kept');
    await mkdir(kept, { recursive: true, mode: 0o700 });
    return path.join(kept, keptName(fileName, why, localUser(), this.#clock.now()));
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
    this.#isReady = true;
  }
}

/** Where it is noted what the staged file `file` lacks. */
export function lackNoteOf(file: string): string {
  const id = STAGED.exec(path.basename(file))?.groups?.['id'] ?? '';
  return path.join(path.dirname(file), `lacks-${id}.json`);
}

function noteOf(content: UnfinishedContent, { store, key }: Place): LackNote {
  return { bucket: store.bucket, key, ...content };
}

/** Keeps the note beside `disk` as a staged file tells what it lacks. */
function describeAt(
  disk: ContentDisk,
  place: () => Place,
): (content: UnfinishedContent | undefined) => Promise<void> {
  return async (content) =>
    await writeLackNote(lackNoteOf(disk.path), content && noteOf(content, place()));
}

async function nothingClaimed(): Promise<ReadonlySet<string>> {
  return await Promise.resolve(new Set<string>());
}

/** The last line that its writer lived to finish; undefined: there is none. */
function uploadOf(note: string): NotedUpload | undefined {
  const whole = note.split('\n').slice(0, -1).at(-1);
  try {
    const { bucket, key, ...more } = JSON.parse(whole ?? '') as Partial<NotedUpload>;
    return bucket === undefined || key === undefined ? undefined : { bucket, key, ...more };
  } catch {
    return undefined;
  }
}

/** Numbers of 24 hex digits that nobody else has: each beginning of chance, then counted. */
class NameNumbers {
  readonly #beginning = randomBytes(8).toString('hex');
  #count = 0;

  next(): string {
    this.#count += 1;
    return this.#beginning + this.#count.toString(16).padStart(8, '0');
  }
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
