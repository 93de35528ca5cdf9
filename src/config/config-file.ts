/**
 * The configuration file on the disk: read, made anew, replaced as a whole. It says where tokens
 * are sent, so a new one is its owner's alone.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolders } from '../lib/make-folders.ts';
import { WireError } from '../lib/wire-error.ts';

const PRIVATE_FILE = 0o600;
const PRIVATE_FOLDER = 0o700;

/** Its text; undefined where there is none. @throws WireError `config`. */
export async function readConfigText(
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await readFile(path, { encoding: 'utf8', signal });
  } catch (error) {
    signal.throwIfAborted();
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new WireError('config', { tried: `read ${path}`, answered: code }, { cause: error });
  }
}

/**
 * Writes `text` to a file that is not there yet, with the folders it lies in.
 *
 * @throws WireError `exists` when it is, `config` when it cannot be written there.
 */
export async function createConfigFile(path: string, text: string): Promise<void> {
  try {
    await makeFolders(dirname(path), PRIVATE_FOLDER);
    await writeNew(path, text, PRIVATE_FILE);
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'EEXIST') throw refusal(path, code, error);
    const next = 'change it with: wire config edit';
    const facts = { tried: `write ${path}`, answered: 'it is there already', next };
    throw new WireError('exists', facts, { cause: error });
  }
}

/**
 * Replaces the file by `text` in one step, or makes it; a reader sees the one or the other. A
 * symbolic link stays, and what it leads to is replaced; permissions stay as they are.
 *
 * @throws WireError `config`.
 */
export async function replaceConfigFile(path: string, text: string): Promise<void> {
  const beside = await besideOf(path);
  try {
    await makeFolders(dirname(beside.target), PRIVATE_FOLDER);
    await writeNew(beside.path, text, beside.mode);
    await rename(beside.path, beside.target);
    await syncFolder(dirname(beside.target));
  } catch (error) {
    await rm(beside.path, { force: true }).catch(() => undefined);
    throw refusal(path, codeOf(error), error);
  }
}

interface Beside {
  readonly path: string;
  readonly target: string;
  readonly mode: number;
}

async function besideOf(path: string): Promise<Beside> {
  const target = await realpath(path).catch(() => path);
  const found = await stat(target).catch(() => undefined);
  const mode = found === undefined ? PRIVATE_FILE : found.mode & 0o777;
  return { path: `${target}.${randomBytes(4).toString('hex')}.tmp`, target, mode };
}

/** On the disk when it returns. @throws the system's error, `EEXIST` among them. */
async function writeNew(path: string, text: string, mode: number): Promise<void> {
  const handle: FileHandle = await open(path, 'wx', mode);
  try {
    // Whatever the umask takes away of it.
    await handle.chmod(mode);
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** Without this the name may be lost with the power (fsync(2)); some file systems have no such call. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync().catch(() => undefined);
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function refusal(path: string, answered: string, cause: unknown): WireError {
  const next = 'name a file of yours with WIRE_CONFIG';
  return new WireError('config', { tried: `write ${path}`, answered, next }, { cause });
}
