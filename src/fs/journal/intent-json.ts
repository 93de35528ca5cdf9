/** Intents as they are read back: what is not understood is no intent. */
import type { Intent } from './intents.ts';
import { fieldsOf } from './life.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Undefined for what is none, or of a kind that is not known here. */
export function parseIntent(json: string): Intent | undefined {
  const fields = fieldsOf(json);
  if (typeof fields?.['bucket'] !== 'string') return undefined;
  const kind = fields['kind'];
  if (typeof kind !== 'string' || !Object.hasOwn(isWhole, kind)) return undefined;
  const intent = fields as unknown as Intent; // its fields are looked at next
  return isWhole[intent.kind](fields) ? intent : undefined;
}

const isWhole: Readonly<Record<Intent['kind'], (fields: Fields) => boolean>> = {
  save: (fields) =>
    areText(fields, 'key') &&
    (fields['base'] === undefined || isVersion(fields['base'] as Fields | null)) &&
    typeof fields['exclusive'] === 'boolean' &&
    areCounts(fields, 'bytes', 'acceptedMs') &&
    isObject(fields['metadata']) &&
    isContent(fields['content']) &&
    (fields['sent'] === undefined || isSent(fields['sent'])) &&
    ['boolean', 'undefined'].includes(typeof fields['mayBeGone']) &&
    (fields['renewals'] === undefined || isCount(fields['renewals'])) &&
    Array.isArray(fields['extents']) &&
    fields['extents'].every(isExtent),
  delete: (fields) => areText(fields, 'key', 'etag'),
  move: (fields) =>
    areText(fields, 'from', 'to') && ['copying', 'deleting'].includes(String(fields['stage'])),
  upload: (fields) =>
    areText(fields, 'key') &&
    areCounts(fields, 'notedMs') &&
    ['string', 'undefined'].includes(typeof fields['uploadId']),
};

function areText(fields: Fields, ...names: readonly string[]): boolean {
  return names.every((name) => typeof fields[name] === 'string');
}

function areCounts(fields: Fields, ...names: readonly string[]): boolean {
  return names.every((name) => isCount(fields[name]));
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isVersion(value: Fields | null): boolean {
  return isObject(value) && areText(value, 'etag') && areCounts(value, 'bytes', 'modifiedMs');
}

/** A file of the journal's own folder, and nowhere else. */
function isContent(value: unknown): boolean {
  if (value === 'inline') return true;
  if (!isObject(value) || typeof value['file'] !== 'string') return false;
  return /^[\w.-]+$/.test(value['file']) && !value['file'].startsWith('.');
}

function isSent(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  const all: readonly unknown[] = value;
  return all.every((each) => {
    if (!isObject(each) || typeof each['isPresent'] !== 'boolean') return false;
    if (!['boolean', 'undefined'].includes(typeof each['isOther'])) return false;
    return areText(each, 'etag') && areCounts(each, 'bytes');
  });
}

function isExtent(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  const [start, end, from] = value as readonly unknown[];
  return isCount(start) && isCount(end) && (from === 'local' || from === 'base');
}
