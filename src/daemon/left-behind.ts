/**
 * What mounts that have ended have left on this machine: content that they had accepted and not
 * saved, and bytes that were put aside. Nothing is changed here but by `discard`.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SaveIntent } from '../fs/journal/intents.ts';
import { deadLives, lifeIn, stagingFolders } from '../fs/journal/left-lives.ts';
import type { Life } from '../fs/journal/life.ts';
import { loadJournal } from '../fs/journal/loaded-journal.ts';
import { bytesFrom, writeLeftContent } from '../fs/left-content.ts';
import { leaveFolder } from '../fs/left-work.ts';
import { WireError } from '../lib/wire-error.ts';
import type { FileProgress } from './mount-parts.ts';
import type { Surroundings } from './surroundings.ts';

/** What of the surroundings it takes. */
type Here = Pick<Surroundings, 'paths' | 'clock' | 'log'>;

/** Content of one file that is not in its bucket. */
export interface LeftFile {
  /** The same each time: for `discard`. */
  readonly id: string;
  /** `journal`: the next mount of its source and identity saves it; `kept`: nobody does. */
  readonly kind: 'journal' | 'kept';
  /** Where its object was to be; of kept bytes their name. */
  readonly name: string;
  readonly bytes: number;
  /** Bytes that only the object has. */
  readonly missingBytes: number;
  /** Ms since the epoch. */
  readonly atMs: number;
  /** Of kept bytes: where they are. */
  readonly path?: string;
  /** Of a journal. */
  readonly whose?: Pick<Life, 'source' | 'endpoint' | 'issuer' | 'subject'>;
}

/** Written beside kept bytes that are not all: it is no content. */
const NOTE_SUFFIX = '.lacks.json';

/** A file with what gets at its content. */
interface Found {
  readonly file: LeftFile;
  /** Writes the content to a new file; returns how many bytes are missing. */
  readonly copyTo: (target: string) => Promise<number>;
  readonly discard: () => Promise<void>;
}

/** All of it, the oldest first. */
export async function listLeft(surroundings: Here): Promise<readonly LeftFile[]> {
  const files: LeftFile[] = [];
  await eachLeft(surroundings, async ({ file }) => {
    await Promise.resolve();
    files.push(file);
  });
  return files.sort((a, b) => a.atMs - b.atMs);
}

/** Copies all of it to `folder`, telling after each how far it is; returns each with where it is now. */
export async function exportLeft(
  folder: string,
  surroundings: Here,
  progress: (done: FileProgress) => void,
): Promise<readonly { readonly file: LeftFile; readonly path: string }[]> {
  const done: { readonly file: LeftFile; readonly path: string }[] = [];
  const left = await listLeft(surroundings);
  const totalBytes = left.reduce((sum, { bytes }) => sum + bytes, 0);
  let bytes = 0;
  await eachLeft(surroundings, async ({ file, copyTo }) => {
    // The id makes it another than what is there, and the same when it is exported again.
    const path = join(folder, `${safePath(file.name)}.${file.id}`);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await copyTo(path);
    done.push({ file, path });
    bytes += file.bytes;
    progress({ files: done.length, bytes, totalBytes });
  });
  return done;
}

/** Deletes what is named `id`. @throws WireError `not-found` when there is none. */
export async function discardLeft(id: string, surroundings: Here): Promise<LeftFile> {
  let gone: LeftFile | undefined;
  await eachLeft(surroundings, async ({ file, discard }) => {
    if (file.id !== id) return;
    await discard();
    gone = file;
  });
  if (gone !== undefined) return gone;
  throw new WireError('not-found', {
    tried: `discard ${id}`,
    answered: 'nothing that was left has this id',
    next: 'see: wire recover --list',
  });
}

async function eachLeft(surroundings: Here, work: (found: Found) => Promise<void>): Promise<void> {
  const root = join(surroundings.paths.stateDir, 'staging');
  for (const place of await stagingFolders(root)) {
    for (const folder of await deadLives(place)) await eachNoted(folder, surroundings, work);
    await eachKept(join(place, 'kept'), work);
  }
}

async function eachNoted(
  folder: string,
  { clock, log }: Here,
  work: (found: Found) => Promise<void>,
): Promise<void> {
  if ((await lifeIn(folder)) === undefined) return;
  const loaded = await loadJournal({ folder, boot: '', durable: false, clock, log });
  if (loaded === undefined) return;
  const { journal, life, intents } = loaded;
  const discarded = new Set<string>();
  try {
    for (const { noted } of intents) {
      const { intent } = noted;
      if (intent.kind !== 'save') continue;
      await work({
        file: leftFile(intent, life),
        copyTo: async (target) => await writeLeftContent(target, noted, intent, folder),
        discard: async () => {
          discarded.add(intent.key);
          await noted.forget();
          if (intent.content !== 'inline') await rm(join(folder, intent.content.file));
        },
      });
    }
  } finally {
    if (discarded.size > 0) {
      await journal[Symbol.asyncDispose]();
      await leaveFolder(folder);
    } else await journal.leave();
  }
}

function leftFile(intent: SaveIntent, life: Life): LeftFile {
  const { source, endpoint, issuer, subject } = life;
  return {
    id: idOf(`${intent.bucket}/${intent.key} ${intent.acceptedMs} ${subject} ${issuer}`),
    kind: 'journal',
    name: `${intent.bucket}/${intent.key}`,
    bytes: intent.bytes,
    missingBytes: bytesFrom(intent, 'base'),
    atMs: intent.acceptedMs,
    whose: { source, endpoint, issuer, subject },
  };
}

async function eachKept(folder: string, work: (found: Found) => Promise<void>): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => !each.endsWith(NOTE_SUFFIX))) {
    const path = join(folder, name);
    const { size, mtimeMs } = await stat(path);
    const file = { id: idOf(path), kind: 'kept', name, bytes: size, missingBytes: 0 } as const;
    await work({
      file: { ...file, atMs: mtimeMs, path },
      copyTo: async (target) => {
        await copyFile(path, target);
        return 0;
      },
      discard: async () => {
        await rm(path);
        await rm(path + NOTE_SUFFIX, { force: true });
      },
    });
  }
}

function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** A key as a path below a folder, whatever it holds. */
function safePath(key: string): string {
  const parts = key.split('/').filter((part) => part !== '');
  return parts.map((part) => (/^\.+$/.test(part) ? '_' : part.replaceAll('\0', '_'))).join('/');
}
