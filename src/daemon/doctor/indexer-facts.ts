/** Indexers of this machine. */
import { access, readdir, readFile } from 'node:fs/promises';
import { MOUNT_TYPE } from '../../fuse/linux/mount-options.ts';
import { type IndexerFacts, indexerNames } from './indexer-findings.ts';
import { readMounts } from './mount-table.ts';

/** plocate and mlocate install it as one of these. */
const UPDATEDB = ['/usr/bin/updatedb', '/usr/sbin/updatedb', '/usr/bin/updatedb.plocate'];

export async function indexerFacts(euid: number): Promise<IndexerFacts> {
  const installed = await Promise.all(UPDATEDB.map(isThere));
  const mounts = await readMounts();
  const open = mounts.some(
    ({ type, options }) => type === MOUNT_TYPE && options.includes('allow_other'),
  );
  return {
    hasUpdatedb: installed.includes(true),
    updatedbConf: await readFile('/etc/updatedb.conf', 'utf8').catch(() => undefined),
    running: await runningIndexers(),
    mountsAreOpen: open || euid === 0,
  };
}

async function runningIndexers(): Promise<readonly string[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name));
  const running = await Promise.all(
    pids.map(async (pid) => (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()),
  );
  return running.filter((name) => indexerNames.includes(name));
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
