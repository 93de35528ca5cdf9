/**
 * The arguments of `wire mount`: SOURCE MOUNTPOINT, any number of times. The name of a mount in
 * the profile is a SOURCE too; when the profile says where it goes, MOUNTPOINT may be left out: an
 * argument after such a name is its MOUNTPOINT only if it has a '/' in it, or is '.' or '..'.
 *
 * A SOURCE that is an address says the endpoint as well. There is one endpoint for all mounts of a
 * call: what is said in two ways is refused, so that no bucket is looked for at another's store.
 */
import { resolve } from 'node:path';
import type { Profile } from '../config/config.ts';
import { isAddress, parseAddress, parseSource, type Source } from '../config/source.ts';
import type { MountPair } from '../daemon/mounts-request.ts';
import { WireError } from '../lib/wire-error.ts';

/** What the arguments are read against. */
export interface MountDefaults {
  readonly profile: Profile;
  /** `--profile` was given: without arguments, all its mounts are meant. */
  readonly profileNamed: boolean;
  readonly readOnly: boolean;
  readonly workingDirectory: string;
  /** That of `--endpoint`, which an address may not contradict. */
  readonly endpointFlag?: string;
  /** Where a SOURCE without an address is: by flag, variable or profile. */
  readonly endpoint?: string;
}

export interface MountArguments {
  readonly mounts: readonly MountPair[];
  /** What addresses say: it outweighs variables and the profile. */
  readonly endpoint?: string;
}

/** @throws WireError `usage`. */
export function readMountArguments(
  words: readonly string[],
  defaults: MountDefaults,
): MountArguments {
  const mounts = words.length === 0 ? mountsOfProfile(defaults) : [];
  const places: NamedSource[] = [];
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const named = readSource(word, defaults.profile);
    const next = left[0];
    const takesNext = named.mountPoint === undefined || (next !== undefined && isPath(next));
    const mountPoint = takesNext ? left.shift() : named.mountPoint;
    if (mountPoint === undefined || isPlace(mountPoint)) throw noMountPoint(word);
    places.push(named);
    mounts.push({
      source: named.source,
      mountPoint: resolve(defaults.workingDirectory, mountPoint),
      readOnly: named.readOnly || defaults.readOnly,
    });
  }
  refuseRepeated(mounts);
  const endpoint = endpointOf(places, defaults);
  return { mounts, ...(endpoint !== undefined && { endpoint }) };
}

interface NamedSource {
  /** As typed. */
  readonly word: string;
  readonly source: Source;
  /** Where an address is. */
  readonly endpoint?: string;
  readonly mountPoint: string | undefined;
  readonly readOnly: boolean;
}

function readSource(word: string, profile: Profile): NamedSource {
  const nowhere = { word, mountPoint: undefined, readOnly: false };
  if (isAddress(word)) {
    const parsed = parseAddress(word);
    if (!parsed.ok) throw refusal(`mount ${word}`, `it ${parsed.fault}`);
    return { ...nowhere, ...parsed.value };
  }
  const parsed = parseSource(word);
  if (!parsed.ok) throw refusal(`mount ${word}`, `it ${parsed.fault}`);
  const source = parsed.value;
  if (source.kind !== 'named') return { ...nowhere, source };
  const entry = profile.mounts.get(source.name);
  if (entry !== undefined) return { ...nowhere, ...entry };
  const names = [...profile.mounts.keys()];
  const where = profile.name === '' ? 'there is no profile' : `profile ${profile.name}`;
  throw refusal(
    `mount ${word}`,
    `it is no mount of a profile (${where}${names.length === 0 ? '' : ` has ${names.join(', ')}`})`,
    `for a bucket write s3://${word}`,
  );
}

/** The endpoint of the addresses among `places`; undefined where there are none. */
function endpointOf(
  places: readonly NamedSource[],
  { endpoint: usual, endpointFlag }: MountDefaults,
): string | undefined {
  const addressed = places.find((each) => each.endpoint !== undefined);
  const { endpoint, word } = addressed ?? {};
  if (endpoint === undefined || word === undefined) return undefined;
  if (endpointFlag !== undefined && !sameEndpoint(endpointFlag, endpoint)) {
    throw refusal(
      `mount ${word}`,
      `--endpoint says another store: ${endpointFlag}`,
      'leave --endpoint out, or write s3://BUCKET',
    );
  }
  for (const place of places) {
    const other = place.endpoint ?? usual;
    if (other === undefined || sameEndpoint(other, endpoint)) continue;
    throw refusal(
      `mount ${word} and ${place.word} together`,
      `they are at two stores: ${endpoint} and ${other}`,
      'mount them by a command each',
    );
  }
  return endpoint;
}

/** A slash at the end and the usual port make no other place. */
function sameEndpoint(a: string, b: string): boolean {
  return new URL(a).href === new URL(b).href;
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

/** Whether a word can only be a SOURCE. */
function isPlace(word: string): boolean {
  return word.startsWith('s3://') || isAddress(word);
}

function isPath(word: string): boolean {
  return !isPlace(word) && (word.includes('/') || word === '.' || word === '..');
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
