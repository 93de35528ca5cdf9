/**
 * What is mounted where, and how, on disk: should its process be killed, `wire remount` knows what
 * to mount again, and `wire status` whose the dead mount is. A note is for its owner alone and holds
 * no secret: settings, and nothing of the environment.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRequestFields, requestFields } from './mounts-asked.ts';
import type { MountsRequest } from './mounts-request.ts';

const FORM = 1;

export interface MountNote {
  /** As the kernel names it. */
  readonly mountPoint: string;
  /** Of that one mount. */
  readonly request: MountsRequest;
}

export async function noteMount(stateDir: string, note: MountNote): Promise<void> {
  const { mountPoint, request } = note;
  const folder = folderOf(stateDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, nameOf(mountPoint));
  const text = JSON.stringify({ form: FORM, mountPoint, ...requestFields(request) });
  // Whoever reads it meanwhile finds the old one or the new one.
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, `${text}\n`, { mode: 0o600, flag: 'wx' });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

export async function forgetMount(stateDir: string, mountPoint: string): Promise<void> {
  await rm(join(folderOf(stateDir), nameOf(mountPoint)), { force: true });
}

/** In order of their places. One that cannot be read, or is of another form, is left out. */
export async function readNotes(stateDir: string): Promise<readonly MountNote[]> {
  const folder = folderOf(stateDir);
  const names = await readdir(folder).catch(() => []);
  const notes: MountNote[] = [];
  for (const name of names.filter((each) => each.endsWith('.json')).sort()) {
    const note = readNote(await readFile(join(folder, name), 'utf8').catch(() => ''));
    if (note !== undefined && nameOf(note.mountPoint) === name) notes.push(note);
  }
  return notes.sort((a, b) => (a.mountPoint < b.mountPoint ? -1 : 1));
}

function readNote(text: string): MountNote | undefined {
  try {
    const fields = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const { form, mountPoint } = fields;
    if (form !== FORM || typeof mountPoint !== 'string') return undefined;
    return { mountPoint, request: readRequestFields(fields) };
  } catch {
    return undefined;
  }
}

function folderOf(stateDir: string): string {
  return join(stateDir, 'mounts');
}

function nameOf(mountPoint: string): string {
  return `${createHash('sha256').update(mountPoint).digest('hex').slice(0, 16)}.json`;
}
