/** Ceph RGW from Debian: there, or installed where that is possible. */
import { existsSync } from 'node:fs';
import { run } from '../demo/programs.ts';

const PACKAGES = ['ceph-mon', 'ceph-osd', 'ceph-common', 'radosgw'];
const PROGRAMS = ['ceph-mon', 'ceph-osd', 'ceph', 'radosgw', 'radosgw-admin', 'monmaptool'];

/** 86 packages, 66 MB, 20 seconds. @throws Error that says what is missing. */
export async function installRgw(say: (line: string) => void, signal: AbortSignal): Promise<void> {
  if (isThere()) return;
  const missing = `Ceph RGW is not there: apt-get install ${PACKAGES.join(' ')}`;
  if (process.geteuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) throw new Error(missing);
  say(`Installing ${PACKAGES.join(', ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const wait = ['-q', '-o', 'DPkg::Lock::Timeout=60'];
  const options = ['install', '-y', '--no-install-recommends'];
  try {
    await run('apt-get', [...wait, 'update'], signal, { env });
    await run('apt-get', [...wait, ...options, ...PACKAGES], signal, { env });
  } catch (cause) {
    throw new Error(missing, { cause });
  }
}

function isThere(): boolean {
  return PROGRAMS.every((program) => existsSync(`/usr/bin/${program}`));
}
