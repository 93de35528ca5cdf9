/**
 * Files of wire's own must not lie in what it mounts: to answer an access to them it would have to
 * wait for itself, and neither would ever end.
 */
import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { WireError } from '../lib/wire-error.ts';

/** A file or folder that wire uses while it serves. */
export interface OwnPlace {
  /** Such as `the log file`. */
  readonly what: string;
  readonly path: string;
}

/** @throws WireError `config` for the first of `places` in `mountPoint`, both without links. */
export async function refuseOwnPlaces(
  mountPoint: string,
  places: readonly OwnPlace[],
): Promise<void> {
  // The folder itself is not asked: what is mounted there may never answer.
  const folder = join(await realPlace(dirname(mountPoint)), basename(mountPoint));
  for (const { what, path } of places) {
    const place = await realPlace(path);
    if (place !== folder && !place.startsWith(`${folder}/`)) continue;
    throw new WireError('config', {
      tried: `mount on ${mountPoint}`,
      answered: `${what} would lie in it: ${path}`,
      next: 'mount on another folder, or keep that elsewhere (WIRE_STATE_DIR, WIRE_RUNTIME_DIR, XDG_CACHE_HOME)',
    });
  }
}

/** `path` without links, as far as it exists. */
async function realPlace(path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real !== undefined || path === dirname(path)) return real ?? path;
  return join(await realPlace(dirname(path)), basename(path));
}
