/**
 * Whose staged files are whose: each life of a process has folders of its own, whose names say
 * who it is, so that one can tell whether it still lives.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { attempt, startOfProcess } from '../lib/process-start.ts';

const PREFIX = 'life-';
const NAME =
  /^life-(?<pid>\d+)-(?<started>\w+)-(?<host>[\da-f]{8})-(?<boot>[\da-f]{8})-(?<space>[\da-f]{8})-/;

/** Left on purpose by a life that ended while its process may live on. */
const LEFT = /^left-[\da-f]{16}$/;

/** A name for a folder that the next one is to look after. */
export function newLeftName(): string {
  return `left-${randomBytes(8).toString('hex')}`;
}

/** A name for a new folder of this process. */
export function newOwnerName(): string {
  const { host, boot, space } = ownPlace();
  const started = startOfProcess(process.pid);
  const random = randomBytes(6).toString('hex');
  return `${PREFIX}${process.pid}-${started}-${host}-${boot}-${space}-${random}`;
}

/**
 * Whether the process behind a folder has surely ended. One of another host, or of another pid
 * namespace (a container) since the last boot, cannot be seen from here: it counts as alive.
 */
export function isDeadOwner(folderName: string): boolean {
  if (LEFT.test(folderName)) return true;
  const owner = NAME.exec(folderName)?.groups;
  const place = ownPlace();
  if (owner?.['host'] !== place.host) return false;
  if (owner['boot'] !== place.boot) return true;
  if (owner['space'] !== place.space) return false;
  return startOfProcess(Number(owner['pid'])) !== owner['started'];
}

function ownPlace(): { readonly host: string; readonly boot: string; readonly space: string } {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'));
  const space = attempt(() => readlinkSync('/proc/self/ns/pid'));
  return { host: digest(hostname()), boot: digest(boot), space: digest(space) };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
