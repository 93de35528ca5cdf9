/** Servers from Debian's packages: there, or installed where that is possible. */
import { existsSync } from 'node:fs';
import { run } from '../demo/programs.ts';

interface Needed {
  readonly name: string;
  readonly packages: readonly string[];
  /** By which one sees that they are there. */
  readonly programs: readonly string[];
}

/** 86 packages, 66 MB, 20 seconds. */
export const ceph: Needed = {
  name: 'Ceph RGW',
  packages: ['ceph-mon', 'ceph-osd', 'ceph-common', 'radosgw'],
  programs: ['ceph-mon', 'ceph-osd', 'ceph', 'radosgw', 'radosgw-admin', 'monmaptool'].map(
    (name) => `/usr/bin/${name}`,
  ),
};

export const nginx: Needed = {
  name: 'nginx',
  packages: ['nginx-light'],
  programs: ['/usr/sbin/nginx'],
};

/** @throws Error that says what is missing. */
export async function install(
  { name, packages, programs }: Needed,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (programs.every((program) => existsSync(program))) return;
  const missing = `${name} is not there: apt-get install ${packages.join(' ')}`;
  if (process.geteuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) throw new Error(missing);
  say(`Installing ${packages.join(', ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const wait = ['-q', '-o', 'DPkg::Lock::Timeout=60'];
  const options = ['install', '-y', '--no-install-recommends'];
  try {
    await run('apt-get', [...wait, 'update'], signal, { env });
    await run('apt-get', [...wait, ...options, ...packages], signal, { env });
  } catch (cause) {
    throw new Error(missing, { cause });
  }
}
