/**
 * The arguments of `wire mount`: SOURCE MOUNTPOINT, any number of times. The name of a mount in
 * the profile is a SOURCE too; when the profile says where it goes, MOUNTPOINT may be left out: an
 * argument after such a name is its MOUNTPOINT only if it has a '/' in it, or is '.' or '..'.
 */
import { resolve } from 'node:path';
import type { Profile } from '../config/config.ts';
import { parseSource, type Source } from '../config/source.ts';
import type { MountPair } from '../daemon/daemon.ts';
import { WireError } from '../lib/wire-error.ts';

/** What the arguments are read against. */
export interface MountDefaults {
  readonly profile: Profile;
  /** `--profile` was given: without arguments, all its mounts are meant. */
  readonly profileNamed: boolean;
  readonly readOnly: boolean;
  readonly workingDirectory: string;
}

/** @throws WireError `usage`. */
export function readMountArguments(
  words: readonly string[],
  defaults: MountDefaults,
): readonly MountPair[] {
  const pairs = words.length === 0 ? mountsOfProfile(defaults) : [];
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const named = readSource(word, defaults.profile);
    const next = left[0];
    const takesNext = named.mountPoint === undefined || (next !== undefined && isPath(next));
    const mountPoint = takesNext ? left.shift() : named.mountPoint;
    if (mountPoint === undefined) throw noMountPoint(word);
    if (mountPoint.startsWith('s3://')) throw noMountPoint(word);
    pairs.push({
      source: named.source,
      mountPoint: resolve(defaults.workingDirectory, mountPoint),
      readOnly: named.readOnly || defaults.readOnly,
    });
  }
  refuseRepeated(pairs);
  return pairs;
}

interface NamedSource {
  readonly source: Source;
  readonly mountPoint: string | undefined;
  readonly readOnly: boolean;
}

function readSource(word: string, profile: Profile): NamedSource {
  const parsed = parseSource(word);
  if (!parsed.ok) throw refusal(`mount ${word}`, `it ${parsed.fault}`);
  const source = parsed.value;
  if (source.kind !== 'named') return { source, mountPoint: undefined, readOnly: false };
  const entry = profile.mounts.get(source.name);
  if (entry !== undefined) return { mountPoint: undefined, ...entry };
  const names = [...profile.mounts.keys()];
  const where = profile.name === '' ? 'there is no profile' : `profile ${profile.name}`;
  throw refusal(
    `mount ${word}`,
    `it is no mount of a profile (${where}${names.length === 0 ? '' : ` has ${names.join(', ')}`})`,
    `for a bucket write s3://${word}`,
  );
}

function mountsOfProfile({ profile, profileNamed, readOnly }: MountDefaults): MountPair[] {
  const entries = profileNamed ? [...profile.mounts.values()] : [];
  const placed = entries.filter((entry) => entry.mountPoint !== undefined);
  if (placed.length === 0) {
    throw refusal('mount', 'nothing was named', 'write: wire mount SOURCE MOUNTPOINT');
  }
  return placed.map((entry) => ({
    source: entry.source,
    mountPoint: entry.mountPoint ?? '',
    readOnly: entry.readOnly || readOnly,
  }));
}

function isPath(word: string): boolean {
  return !word.startsWith('s3://') && (word.includes('/') || word === '.' || word === '..');
}

function refuseRepeated(pairs: readonly MountPair[]): void {
  const seen = new Set<string>();
  for (const { mountPoint } of pairs) {
    if (seen.has(mountPoint)) throw refusal(`mount on ${mountPoint}`, 'it was named twice');
    seen.add(mountPoint);
  }
}

function noMountPoint(word: string): WireError {
  const next = 'each SOURCE needs a folder: wire mount SOURCE MOUNTPOINT [SOURCE MOUNTPOINT ...]';
  return refusal(`mount ${word}`, 'no MOUNTPOINT follows it', next);
}

function refusal(tried: string, answered: string, next?: string): WireError {
  return new WireError(
    'usage',
    next === undefined ? { tried, answered } : { tried, answered, next },
  );
}
