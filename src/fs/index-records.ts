/** What records of the index say, as JSON: pairs, since any text may be a name. */
import type { Clock } from '../lib/clock.ts';
import { type FoundName, foundDirectory } from './directory-source.ts';
import type { FileKind, Overrides } from './nodes.ts';

export type AttributePairs = readonly (readonly [string, Overrides | undefined])[];

/** A whole listing, told at a time on the monotonic scale of this process. */
export interface KeptListing {
  readonly names: readonly FoundName[];
  readonly toldMs: number;
}

interface Times {
  readonly clock: Clock;
  readonly listTtlMs: number;
}

/** A file as bytes, time and ETag; a directory as its name alone. */
type ListedPair = readonly [string] | readonly [string, number, number, string];

interface ListingText {
  /** Which start of the machine `toldMs` counts from. */
  readonly start: string;
  readonly toldMs: number;
  readonly names: readonly ListedPair[];
}

const numeric = ['mode', 'uid', 'gid', 'atimeMs', 'mtimeMs', 'ctimeMs', 'seenMs'] as const;

const specialKinds: readonly unknown[] = [
  'symlink',
  'fifo',
  'socket',
  'character-device',
  'block-device',
] satisfies readonly FileKind[];

export function encodeAttributes(pairs: AttributePairs): Buffer {
  const fields = pairs.map(([name, kept]) => [name, kept === undefined ? null : fieldsOf(kept)]);
  return Buffer.from(JSON.stringify(fields));
}

/** None of what is not as `encodeAttributes` writes it. */
export function decodeAttributes(body: Buffer | undefined): AttributePairs {
  const pairs = parsed(body);
  if (!Array.isArray(pairs)) return [];
  return pairs.flatMap((pair: unknown): AttributePairs => {
    if (!Array.isArray(pair) || typeof pair[0] !== 'string') return [];
    const kept: unknown = pair[1];
    return [[pair[0], isFields(kept) ? overridesOf(kept) : undefined]];
  });
}

/** Undefined where there is no clock that a later process could go by. */
export function encodeListing(
  names: readonly FoundName[],
  toldMs: number,
  { clock }: Times,
): Buffer | undefined {
  const boot = clock.boot?.();
  if (boot === undefined) return undefined;
  const listing: ListingText = {
    start: boot.start,
    toldMs: boot.ms - (clock.monotonic() - toldMs),
    names: names.map(({ name, found }) => {
      if (found.type === 'directory') return [name];
      const { bytes, modifiedMs, etag } = found.version;
      return [name, bytes, modifiedMs, etag];
    }),
  };
  return Buffer.from(JSON.stringify(listing));
}

/** Undefined for a listing that does not hold any more. */
export function decodeListing(body: Buffer, { clock, listTtlMs }: Times): KeptListing | undefined {
  const listing = parsed(body);
  const boot = clock.boot?.();
  if (!isFields(listing) || boot === undefined || listing['start'] !== boot.start) return undefined;
  const { toldMs, names } = listing;
  if (typeof toldMs !== 'number' || !Array.isArray(names)) return undefined;
  const ageMs = boot.ms - toldMs;
  if (ageMs < 0 || ageMs >= listTtlMs) return undefined;
  return { names: (names as ListedPair[]).map(foundNameOf), toldMs: clock.monotonic() - ageMs };
}

function foundNameOf([name, bytes, modifiedMs, etag]: ListedPair): FoundName {
  if (bytes === undefined || modifiedMs === undefined || etag === undefined) {
    return { name, found: foundDirectory };
  }
  return { name, found: { type: 'file', version: { bytes, modifiedMs, etag } } };
}

function overridesOf(fields: Readonly<Record<string, unknown>>): Overrides {
  const overrides: Overrides = {};
  for (const name of numeric) {
    const value = fields[name];
    if (typeof value === 'number') overrides[name] = value;
  }
  const { etag, kind, device, target, xattrs, others } = fields;
  if (typeof etag === 'string') overrides.etag = etag;
  if (specialKinds.includes(kind)) overrides.kind = kind as FileKind;
  if (typeof target === 'string') overrides.target = target;
  if (isFields(device)) {
    const { major, minor } = device;
    if (typeof major === 'number' && typeof minor === 'number') overrides.device = { major, minor };
  }
  if (isFields(xattrs)) {
    const values = textsOf(xattrs).map(
      ([name, value]) => [name, new Uint8Array(Buffer.from(value, 'base64'))] as const,
    );
    overrides.xattrs = new Map(values);
  }
  if (isFields(others)) overrides.others = Object.fromEntries(textsOf(others));
  return overrides;
}

/** A map is written as an object, and bytes as base64. */
function fieldsOf({ xattrs, ...fields }: Overrides): object {
  const others = { ...fields, unsaved: undefined };
  if (xattrs === undefined) return others;
  const values = [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  return { ...others, xattrs: Object.fromEntries(values) as object };
}

function textsOf(
  fields: Readonly<Record<string, unknown>>,
): readonly (readonly [string, string])[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  );
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(body: Buffer | undefined): unknown {
  try {
    return body === undefined ? undefined : (JSON.parse(body.toString()) as unknown);
  } catch {
    return undefined;
  }
}
