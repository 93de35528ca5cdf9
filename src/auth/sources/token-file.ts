/**
 * Files with one access token that somebody else renews. Read again at each need: they are small,
 * and whether one has changed is only known by reading it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

import { WireError } from '../../lib/wire-error.ts';

/**
 * How far a file is trusted.
 * - `named`: a person or a system named it; links are followed (Kubernetes projects tokens so)
 * - `own`: found by its name in a folder of ours: must also belong to us
 * - `private`: found in a folder that everybody may write to: no link, ours, and closed to others
 */
export type FileTrust = 'named' | 'own' | 'private';

export interface TokenFileText {
  readonly text: string;
  /** Permission bits of others, 0 when it is ours alone. */
  readonly openToOthers: number;
}

/** Tokens with hundreds of groups have some ten KiB. */
const MAX_BYTES = 2 ** 20;

/**
 * What `path` holds; undefined when there is no such file.
 *
 * @throws WireError `config` when it cannot be read, or is not to be trusted.
 */
export async function readTokenFile(
  path: string,
  trust: FileTrust,
  euid: number,
): Promise<TokenFileText | undefined> {
  // O_NONBLOCK: a pipe put in its place must not hold us up.
  const links = trust === 'private' ? constants.O_NOFOLLOW : 0;
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | links);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'ELOOP') throw refusal(path, 'it is a symbolic link', 'remove it', error);
    throw refusal(path, String(code ?? error), 'check who may read it', error);
  }
  try {
    const { mode, uid, size } = await checkedStat(handle, path);
    const openToOthers = mode & 0o077;
    // Windows has neither owner nor mode; access lists of the folder protect files there.
    if (euid >= 0 && trust !== 'named' && uid !== euid) {
      throw refusal(path, `it belongs to uid ${uid}`, 'remove it, or have its owner do so');
    }
    if (euid >= 0 && trust === 'private' && openToOthers !== 0) {
      const answered = `others may use it (mode ${(mode & 0o777).toString(8)})`;
      throw refusal(path, answered, `run: chmod 600 ${path}`);
    }
    if (size > MAX_BYTES) throw refusal(path, 'it is too large for a token', 'name another file');
    return { text: await handle.readFile('utf8'), openToOthers: euid < 0 ? 0 : openToOthers };
  } finally {
    await handle.close();
  }
}

async function checkedStat(
  handle: FileHandle,
  path: string,
): Promise<{ readonly mode: number; readonly uid: number; readonly size: number }> {
  const found = await handle.stat();
  if (found.isFile()) return found;
  throw refusal(path, 'it is not a plain file', 'name a file that can be read again and again');
}

function refusal(path: string, answered: string, next: string, cause?: unknown): WireError {
  const facts = { tried: `read the token in ${path}`, answered, next };
  return new WireError('config', facts, cause === undefined ? {} : { cause });
}
