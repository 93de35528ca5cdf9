/**
 * What a folder lies on. A disk that is gone (NFS) never answers, and a process that waits for one
 * cannot even end: a child asks, and is left alone when it does not come back.
 */
import { spawn } from 'node:child_process';
import type { Settings } from '../../config/options.ts';
import { raceAbort } from '../../lib/abort.ts';
import { cachePlanOf } from '../content-cache.ts';
import type { Surroundings } from '../surroundings.ts';
import type { DiskFacts, FolderFacts } from './disk-findings.ts';
import { mountOf, readMounts } from './mount-table.ts';

/** A disk that sleeps has to start turning. */
const PATIENCE_MS = 4_000;

/** Prints of the nearest folder that is there: its real path, its room, why one may not write. */
const PROBE = `
const fs = require('fs'), path = require('path');
let at = process.argv[1], real;
for (;;) {
  try { real = fs.realpathSync(at); break; } catch (error) {
    if (error.code !== 'ENOENT' || at === path.dirname(at)) { console.log(JSON.stringify({ trouble: error.code })); process.exit(); }
    at = path.dirname(at);
  }
}
const said = { real };
try { const s = fs.statfsSync(real); said.freeBytes = s.bavail * s.bsize; said.totalBytes = s.blocks * s.bsize; } catch {}
try { if (!fs.statSync(real).isDirectory()) said.trouble = 'ENOTDIR'; else fs.accessSync(real, fs.constants.W_OK | fs.constants.X_OK); } catch (error) { said.trouble = error.code; }
console.log(JSON.stringify(said));
`;

export async function diskFacts(
  settings: Settings,
  surroundings: Pick<Surroundings, 'paths' | 'clock'>,
  signal: AbortSignal,
): Promise<DiskFacts> {
  const { mode, folder, quotaBytes } = cachePlanOf(settings, surroundings);
  const [cache, state] = await Promise.all([
    folderFacts(folder, surroundings, signal),
    folderFacts(surroundings.paths.stateDir, surroundings, signal),
  ]);
  return { cache, cacheMode: mode, quotaBytes, state };
}

interface Said {
  readonly real?: string;
  readonly freeBytes?: number;
  readonly totalBytes?: number;
  readonly trouble?: string;
}

async function folderFacts(
  path: string,
  { clock }: Pick<Surroundings, 'clock'>,
  signal: AbortSignal,
): Promise<FolderFacts> {
  const limit = new AbortController();
  const late = clock.sleep(PATIENCE_MS, limit.signal).then(() => undefined);
  late.catch(() => undefined);
  try {
    const text = await raceAbort(Promise.race([probe(path, limit.signal), late]), signal);
    const type = mountOf(path, await readMounts())?.type;
    if (text === undefined) return { path, silent: true, ...(type !== undefined && { type }) };
    const { real = path, ...said } = JSON.parse(text) as Said;
    const real_ = mountOf(real, await readMounts())?.type ?? type;
    return { path, ...said, ...(real_ !== undefined && { type: real_ }) };
  } finally {
    limit.abort();
  }
}

/** What the child prints; it is killed when `limit` aborts, as far as that helps. */
async function probe(path: string, limit: AbortSignal): Promise<string | undefined> {
  const child = spawn(process.execPath, ['-e', PROBE, '--', path], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const giveUp = (): void => {
    child.stdout.destroy();
    child.kill('SIGKILL');
    child.unref();
  };
  limit.addEventListener('abort', giveUp, { once: true });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(text === '' ? undefined : text));
  });
}
