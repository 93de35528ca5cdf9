/** Whether the folders of this machine can hold what wire keeps in them. Pure. */
import { formatBytes, GiB } from '../../lib/bytes.ts';
import { type Finding, findingsOf } from './finding.ts';

export interface FolderFacts {
  readonly path: string;
  /** Of the folder, or of where it will be made; absent where that was not found out. */
  readonly type?: string;
  readonly freeBytes?: number;
  readonly totalBytes?: number;
  /** errno of what keeps us from writing there. */
  readonly trouble?: string;
  /** The disk did not answer. */
  readonly silent?: true;
}

export interface DiskFacts {
  readonly cache: FolderFacts;
  readonly cacheMode: 'off' | 'minimal' | 'writes' | 'full';
  readonly quotaBytes: number;
  /** Logins, the log, the journal of what is not saved yet. */
  readonly state: FolderFacts;
}

const make = findingsOf('disk');

/** What `content-cache.ts` leaves to others. */
const LEFT_BYTES = GiB;
/** Files on their way to a bucket wait here. */
const LITTLE_BYTES = GiB;

const networkTypes =
  /^(?:nfs\d?|cifs|smb3?|smbfs|afs|ceph|glusterfs|lustre|gpfs|beegfs|9p|fuse\.(?:sshfs|glusterfs|ceph|s3fs|rclone))$/;
const memoryTypes = /^(?:tmpfs|ramfs)$/;
const containerTypes = /^overlay$/;

export function diskFindings(facts: DiskFacts): readonly Finding[] {
  const findings = [...stateFindings(facts.state), ...cacheFindings(facts)];
  const worse = findings.filter(({ level }) => level !== 'ok');
  return worse.length > 0 ? worse : findings;
}

function stateFindings(state: FolderFacts): readonly Finding[] {
  const { path, type = '', freeBytes } = state;
  const name = `the folder of logins and unsaved files, ${path},`;
  const next = 'set WIRE_STATE_DIR to a folder on a local disk';
  const broken = brokenFinding(name, state, next);
  if (broken !== undefined) return [broken];
  const findings: Finding[] = [];
  if (memoryTypes.test(type)) {
    const seen = `${name} is in memory (${type}): a reboot loses logins and what is not saved yet`;
    findings.push(make.warning(seen, next));
  } else if (networkTypes.test(type)) {
    const seen = `${name} is on a network (${type}): locks and power loss are not safe there`;
    findings.push(make.warning(seen, next));
  } else if (containerTypes.test(type)) {
    findings.push(make.note(`${name} goes with the container (${type})`, `${next} that stays`));
  }
  if (freeBytes !== undefined && freeBytes < LITTLE_BYTES) {
    const seen = `${name} has ${formatBytes(freeBytes)} free: large files may find no room on their way`;
    findings.push(make.warning(seen, `free some, or ${next}`));
  }
  if (findings.length > 0) return findings;
  return [make.ok(`${path}: ${type}${room(state)}`)];
}

function cacheFindings({ cache, cacheMode, quotaBytes }: DiskFacts): readonly Finding[] {
  if (cacheMode === 'off') return [make.note('nothing is kept on the local disk (--cache off)')];
  const { path, type = '', freeBytes, totalBytes } = cache;
  const name = `the cache, ${path},`;
  const next = 'set --cache-dir to a folder on a local disk';
  const broken = brokenFinding(name, cache, next);
  if (broken !== undefined) return [broken];
  const findings: Finding[] = [];
  const keepsContent = cacheMode !== 'minimal';
  const level = keepsContent ? make.warning : make.note;
  if (memoryTypes.test(type)) {
    findings.push(level(`${name} is in memory (${type}), which programs then lack`, next));
  } else if (networkTypes.test(type)) {
    findings.push(level(`${name} is on a network (${type}), which is slower than the store`, next));
  }
  const roomBytes = (freeBytes ?? Number.POSITIVE_INFINITY) - LEFT_BYTES;
  if (keepsContent && roomBytes < quotaBytes) {
    const kept = formatBytes(Math.max(0, roomBytes));
    const of = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`;
    const seen = `${name} may have ${formatBytes(quotaBytes)}, and ${formatBytes(freeBytes ?? 0)}${of} are free: about ${kept} will be kept`;
    const fix = 'set --cache-size to what there is, or --cache-dir to a larger disk';
    findings.push(roomBytes <= 0 ? make.warning(seen, fix) : make.note(seen, fix));
  }
  if (findings.length > 0) return findings;
  return [
    make.ok(
      `${path}: ${type}${room(cache)}, quota ${formatBytes(quotaBytes)} (--cache ${cacheMode})`,
    ),
  ];
}

function brokenFinding(name: string, facts: FolderFacts, next: string): Finding | undefined {
  if (facts.silent === true) {
    return make.failure('config', `${name} is on a disk that does not answer`, next);
  }
  if (facts.type === 'fuse.wire') {
    return make.failure('config', `${name} lies in a mount of wire itself`, next);
  }
  if (facts.trouble === undefined) return undefined;
  return make.failure('config', `${name} cannot be written: ${facts.trouble}`, next);
}

function room({ freeBytes }: FolderFacts): string {
  return freeBytes === undefined ? '' : `, ${formatBytes(freeBytes)} free`;
}
