/**
 * What is said over a control socket: HTTP/1.1 with JSON bodies, `Host: localhost`. `GET /status`
 * answers `ProcessStatus`; `GET /metrics` what Prometheus reads; `POST /unmount` takes
 * `UnmountRequest` and answers `{}`; `POST /files` takes `FilesRequest` and answers a line of JSON for
 * each `FileProgress`, the last one when it is done, or a line with `refusal`; `POST /mounts` takes
 * what `mounts-asked.ts` writes and answers `MountsAnswer` when all is mounted; `DELETE /mounts` with
 * the same `REQUEST_ID` takes that back: it is answered when all is undone. A refusal is a status
 * of 400 or more with `Refusal`. No verb gives out a token or a key; a token goes where the request
 * for mounts says, within `--endpoint-hosts`, as if its caller had sent it.
 */
import { KiB, MiB } from '../lib/bytes.ts';
import {
  exitCodeOf,
  WireError,
  type WireErrorFacts,
  type WireErrorKind,
} from '../lib/wire-error.ts';
import type { MountStatus } from './mount.ts';
import { type FileProgress, type FileVerb, fileVerbs } from './mount-parts.ts';

/** A request names a path or two: PATH_MAX is 4096 bytes, six times that when escaped. */
export const MAX_REQUEST_BYTES: number = 32 * KiB;

/** A request for mounts has tokens with it, and a hundred places. */
export const MAX_MOUNTS_BYTES: number = 512 * KiB;

/** An answer lists mounts: some KiB each, a hundred of them where files could not be saved. */
export const MAX_ANSWER_BYTES: number = 16 * MiB;

/** A request that has not arrived by then is given up. */
export const REQUEST_MS = 5_000;

/** Header that names a request for mounts, so that it can be taken back. */
export const REQUEST_ID = 'x-wire-request';

/** One process and its mounts. */
export interface ProcessStatus {
  readonly pid: number;
  readonly version: string;
  readonly startedMs: number;
  readonly mounts: readonly MountStatus[];
  /** How its mounts are watched; absent in the status of an older wire. */
  readonly watching?: WatchingStatus;
}

/** Where a process tells what it does, besides its log. */
export interface WatchingStatus {
  /** For Prometheus: `http://127.0.0.1:PORT/metrics`. */
  readonly metricsUrl?: string;
  readonly auditLog?: string;
  /** Changes that the audit log could not take; absent where it took all. */
  readonly auditFailures?: number;
  readonly accessLog?: string;
  /** Operations that the access log could not take. */
  readonly accessDropped?: number;
}

/** All of them are mounted. */
export interface MountsAnswer {
  readonly version: string;
  readonly mounts: readonly MountStatus[];
  /** What the person should know, a line each. */
  readonly warnings: readonly string[];
  /** Where the process that serves them logs; undefined: nowhere. */
  readonly logFile?: string;
}

/** The answer of a daemon whose last mount has ended: another one can be started. Its status is 503. */
export class DaemonEnds extends WireError {
  override readonly name = 'DaemonEnds';

  constructor() {
    const next = 'try again';
    super('unavailable', { tried: 'mount', answered: 'the daemon is ending', next });
  }
}

export const ENDING_STATUS = 503;

export interface UnmountRequest {
  readonly mountPoint: string;
  readonly lazy: boolean;
}

export interface FilesRequest {
  readonly verb: FileVerb;
  readonly mountPoint: string;
  /** Names from the root of the mount on; none: the whole mount. */
  readonly path: readonly string[];
}

/** One line of the answer to a `FilesRequest`. */
export type FilesLine =
  | { readonly progress: FileProgress }
  | { readonly done: FileProgress }
  | { readonly refusal: Refusal };

/** A `WireError` on the way. */
export interface Refusal {
  readonly kind: WireErrorKind;
  readonly facts: WireErrorFacts;
}

type Fields = Readonly<Record<string, unknown>>;

/** @throws WireError `usage` for anything else than an `UnmountRequest`. */
export function readUnmountRequest(text: string): UnmountRequest {
  const fields = readFields(text);
  const mountPoint = fields?.['mountPoint'];
  const lazy = fields?.['lazy'];
  if (typeof mountPoint === 'string' && typeof lazy === 'boolean') return { mountPoint, lazy };
  const answered = 'not {"mountPoint": "…", "lazy": false}';
  throw new WireError('usage', { tried: 'read the request', answered });
}

/** @throws WireError `usage` for anything else than a `FilesRequest`. */
export function readFilesRequest(text: string): FilesRequest {
  const fields = readFields(text);
  const verb = fileVerbs.find((known) => known === fields?.['verb']);
  const mountPoint = fields?.['mountPoint'];
  const path = fields?.['path'];
  if (
    verb !== undefined &&
    typeof mountPoint === 'string' &&
    Array.isArray(path) &&
    path.every((part) => typeof part === 'string')
  ) {
    return { verb, mountPoint, path };
  }
  const answered = 'not {"verb": "warm", "mountPoint": "…", "path": ["…"]}';
  throw new WireError('usage', { tried: 'read the request', answered });
}

/** @throws WireError as the line refuses; `internal` when it is none of ours. */
export function readFilesLine(text: string): {
  readonly progress: FileProgress;
  readonly done: boolean;
} {
  const fields = readFields(text);
  if (fields?.['refusal'] !== undefined) throw readRefusal(JSON.stringify(fields['refusal']));
  const told = (fields?.['progress'] ?? fields?.['done']) as Fields | null | undefined;
  const [files, bytes, totalBytes] = [told?.['files'], told?.['bytes'], told?.['totalBytes']];
  if (typeof files === 'number' && typeof bytes === 'number' && typeof totalBytes === 'number') {
    return { progress: { files, bytes, totalBytes }, done: fields?.['done'] !== undefined };
  }
  throw new WireError('internal', { tried: 'read how far it is', answered: 'no progress' });
}

/** @throws WireError `internal` for anything else than a `MountsAnswer`. */
export function readMountsAnswer(text: string): MountsAnswer {
  const fields = readFields(text);
  const { version, mounts, warnings, logFile } = fields ?? {};
  if (
    typeof version === 'string' &&
    Array.isArray(mounts) &&
    mounts.every(isMountStatus) &&
    Array.isArray(warnings)
  ) {
    const told = { version, mounts: mounts as MountStatus[], warnings: warnings.map(String) };
    return typeof logFile === 'string' ? { ...told, logFile } : told;
  }
  throw new WireError('internal', { tried: 'mount', answered: 'nothing intelligible' });
}

/** @throws WireError `internal` for anything else than a `ProcessStatus`. */
export function readProcessStatus(text: string): ProcessStatus {
  const fields = readFields(text);
  const mounts = fields?.['mounts'];
  if (typeof fields?.['pid'] === 'number' && Array.isArray(mounts) && mounts.every(isMountStatus)) {
    return fields as unknown as ProcessStatus; // the fields that are used have been looked at
  }
  throw new WireError('internal', { tried: 'read the status of a mount', answered: 'no status' });
}

function isMountStatus(value: unknown): boolean {
  const fields = value as Fields | null;
  return (
    typeof fields === 'object' &&
    typeof fields?.['mountPoint'] === 'string' &&
    typeof fields['source'] === 'string' &&
    typeof fields['state'] === 'string'
  );
}

export function refusalOf(error: unknown): Refusal {
  if (error instanceof WireError) return { kind: error.kind, facts: error.facts };
  return { kind: 'internal', facts: { tried: 'do this', answered: String(error) } };
}

/** The error a `Refusal` tells of; `internal` when the text is none. */
export function readRefusal(text: string): WireError {
  const fields = readFields(text);
  const kind = fields?.['kind'];
  const facts = fields?.['facts'] as Fields | null | undefined;
  const tried = facts?.['tried'];
  const answered = facts?.['answered'];
  const next = facts?.['next'];
  if (typeof kind !== 'string' || typeof tried !== 'string' || typeof answered !== 'string') {
    return new WireError('internal', { tried: 'control a mount', answered: 'no reason was given' });
  }
  const known: WireErrorKind = Object.hasOwn(exitCodeOf, kind)
    ? (kind as WireErrorKind)
    : 'internal';
  const told = { tried, answered };
  return new WireError(known, typeof next === 'string' ? { ...told, next } : told);
}

function readFields(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}
