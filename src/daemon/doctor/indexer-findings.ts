/** Whether something on this machine reads every file it sees, and would read a bucket through. Pure. */
import { type Finding, findingsOf } from './finding.ts';

export interface IndexerFacts {
  /** updatedb is installed. */
  readonly hasUpdatedb: boolean;
  /** /etc/updatedb.conf; undefined where there is none. */
  readonly updatedbConf: string | undefined;
  /** Names of indexers that run for a desktop. */
  readonly running: readonly string[];
  /** Others may enter a mount of wire: root mounts, or one has allow_other. */
  readonly mountsAreOpen: boolean;
}

const make = findingsOf('indexer');

const MOUNT_TYPE = 'fuse.wire';

/** The processes of Tracker, its successor LocalSearch, and Baloo; comm has 15 characters. */
export const indexerNames: readonly string[] = [
  'tracker-miner-f',
  'tracker-extract',
  'localsearch-3',
  'localsearch-ext',
  'baloo_file',
  'baloo_file_extr',
];

export function indexerFindings(facts: IndexerFacts): readonly Finding[] {
  const findings = [...updatedbFindings(facts), ...desktopFindings(facts.running)];
  return findings.length > 0 ? findings : [make.ok('nothing here would read through a mount')];
}

function updatedbFindings(facts: IndexerFacts): readonly Finding[] {
  const { hasUpdatedb, updatedbConf = '', mountsAreOpen } = facts;
  if (!hasUpdatedb || prunes(updatedbConf)) return [];
  const fix =
    updatedbConf === ''
      ? `as root: echo 'PRUNEFS="${MOUNT_TYPE}"' >> /etc/updatedb.conf`
      : `as root: sed -i 's/^PRUNEFS *= *"/&${MOUNT_TYPE} /' /etc/updatedb.conf`;
  const seen = `updatedb does not leave out mounts of wire (PRUNEFS lacks ${MOUNT_TYPE})`;
  // Root itself may not enter a mount of somebody else.
  return mountsAreOpen
    ? [make.warning(`${seen}: each night it lists every bucket that is mounted`, fix)]
    : [make.note(`${seen}: with --allow-other it would list whole buckets`, fix)];
}

/** Whether updatedb leaves such mounts out. A later line replaces an earlier one (updatedb.conf(5)). */
function prunes(conf: string): boolean {
  const [, types = ''] = [...conf.matchAll(/^\s*PRUNEFS\s*=\s*"([^"]*)"/gm)].at(-1) ?? [];
  return types.split(/\s+/).some((type) => type.toLowerCase() === MOUNT_TYPE);
}

function desktopFindings(running: readonly string[]): readonly Finding[] {
  const names = [...new Set(running)];
  return names.map((name) => {
    const fix = name.startsWith('baloo')
      ? 'leave the folder out: balooctl config add excludeFolders MOUNTPOINT'
      : 'mount outside of what it indexes, or: touch MOUNTPOINT/.nomedia (it then leaves the folder out)';
    return make.note(`${name} runs: a mount in a folder that it indexes is read through`, fix);
  });
}
