/** The mounts there are: whether somebody serves them, and what is not in its bucket. Pure. */
import { formatBytes } from '../../lib/bytes.ts';
import type { Status } from '../status.ts';
import { type Finding, findingsOf } from './finding.ts';

const make = findingsOf('mounts');

export function mountFindings({
  mounts,
  left,
}: Pick<Status, 'mounts' | 'left'>): readonly Finding[] {
  const findings = mounts.flatMap(mountFinding);
  if (left !== undefined && left.files > 0) {
    const what = `${left.files === 1 ? '1 file' : `${left.files} files`}, ${formatBytes(left.bytes)}`;
    const seen = `mounts that have ended left something that is in no bucket: ${what}`;
    findings.push(make.warning(seen, 'mount the same source again, or see: wire recover --list'));
  }
  if (findings.length > 0) return findings;
  const count = mounts.length === 1 ? '1 mount is' : `${mounts.length} mounts are`;
  return [make.ok(mounts.length === 0 ? 'nothing is mounted' : `${count} served`)];
}

function mountFinding(mount: Status['mounts'][number]): Finding[] {
  const { mountPoint, state } = mount;
  if (state === 'dead') {
    const seen = `${mountPoint} is dead: its process is gone, and programs get ENOTCONN`;
    return [make.warning(seen, `run: wire unmount ${mountPoint} (or mount there again)`)];
  }
  if (state === 'silent') {
    const seen = `the process of ${mountPoint} does not answer, or is another user's`;
    return [make.note(seen, `if it is yours and stuck: wire unmount --force ${mountPoint}`)];
  }
  if (!('source' in mount)) return [];
  const findings: Finding[] = [];
  if (mount.degraded !== undefined) {
    const seen = `${mountPoint} cannot renew its credentials: ${mount.degradedReason ?? 'no reason given'}`;
    findings.push(make.warning(seen, `run: wire login ${mount.issuer}`));
  }
  if (mount.failures.length > 0) {
    const names = new Set(mount.failures.map(({ name }) => name));
    const what = names.size === 1 ? 'a file' : `${names.size} files`;
    const seen = `${mountPoint} could not save ${what}`;
    findings.push(make.warning(seen, 'see which and why: wire status'));
  }
  return findings;
}
