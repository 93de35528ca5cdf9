/** If-Match and its kin (RFC 9110, section 13), for reads, writes and copy sources. */
import { S3Error } from './errors.ts';
import type { Quirks } from './quirks.ts';

type Header = (name: string) => string | undefined;

/** What conditions are held against. */
export interface Validators {
  /** Without quotes. */
  readonly etag: string;
  readonly modifiedMs: number;
}

function names(list: string, etag: string): boolean {
  return list.split(',').some((entry) => {
    const name = entry
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1');
    return name === '*' || name === etag;
  });
}

/** HTTP dates have whole seconds. */
const wholeSeconds = (ms: number): number => Math.floor(ms / 1000) * 1000;

function dateOf(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/**
 * Whether a GET or HEAD is answered with 304; the etag conditions outrank those on dates.
 *
 * @throws S3Error PreconditionFailed
 */
export function isNotModified(header: Header, object: Validators): boolean {
  const conditions = evaluate(header, '', object);
  if (conditions.failed) throw new S3Error('PreconditionFailed');
  return conditions.unchanged;
}

/** @throws S3Error PreconditionFailed */
export function checkCopySource(header: Header, source: Validators, honoured: boolean): void {
  if (!honoured) return;
  const { failed, unchanged } = evaluate(header, 'x-amz-copy-source-', source);
  if (failed || unchanged) throw new S3Error('PreconditionFailed');
}

function evaluate(
  header: Header,
  before: string,
  { etag, modifiedMs }: Validators,
): { failed: boolean; unchanged: boolean } {
  const ifMatch = header(`${before}if-match`);
  const ifNoneMatch = header(`${before}if-none-match`);
  const modified = wholeSeconds(modifiedMs);
  const unmodifiedSince = dateOf(header(`${before}if-unmodified-since`));
  const modifiedSince = dateOf(header(`${before}if-modified-since`));
  const failed =
    ifMatch === undefined
      ? unmodifiedSince !== undefined && modified > unmodifiedSince
      : !names(ifMatch, etag);
  const unchanged =
    ifNoneMatch === undefined
      ? modifiedSince !== undefined && modified <= modifiedSince
      : names(ifNoneMatch, etag);
  return { failed, unchanged };
}

/**
 * Holds a write's conditions against what is there now. `existing` undefined: nothing is.
 *
 * @throws S3Error PreconditionFailed, or as the dialect says for If-Match on a missing key
 */
export function checkWrite(
  header: Header,
  existing: Validators | undefined,
  quirks: Pick<Quirks, 'ifMatchOnMissing' | 'writesMatchBareEtags'>,
): void {
  const ifMatch = header('if-match');
  const ifNoneMatch = header('if-none-match');
  if (ifMatch !== undefined) {
    if (existing === undefined) throw new S3Error(quirks.ifMatchOnMissing);
    const { etag } = existing;
    const same = quirks.writesMatchBareEtags ? ifMatch === etag : names(ifMatch, etag);
    if (!same) throw new S3Error('PreconditionFailed');
  }
  if (ifNoneMatch !== undefined && existing !== undefined && names(ifNoneMatch, existing.etag)) {
    throw new S3Error('PreconditionFailed');
  }
}

/** DELETE with If-Match: a missing object is as good as deleted. @throws S3Error PreconditionFailed */
export function checkDelete(header: Header, existing: Validators | undefined): void {
  const ifMatch = header('if-match');
  if (ifMatch === undefined || existing === undefined) return;
  if (!names(ifMatch, existing.etag)) throw new S3Error('PreconditionFailed');
}
