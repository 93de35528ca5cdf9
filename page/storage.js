/** What is on this machine: the cache, what mounts have left, where processes tell what they do. */

import { button, element, make, setText, sync } from './elements.js';
import { clearCache } from './mounts.js';
import { countFiles, formatBytes, formatUntil, printable } from './words.js';

/** @typedef {import('../dist/daemon/ui/page-news.js').PageNews} PageNews */
/** @typedef {import('../dist/daemon/left-behind.js').LeftFile} LeftFile */

/** Names of files that are shown; the rest is counted. */
const SHOWN = 12;

/** @param {PageNews} news */
export function drawMachine(news) {
  /** @type {Part[]} */
  const parts = [cachePart(news), leftPart(news), queuePart(news), ...processParts(news)].filter(
    (part) => part !== undefined,
  );
  sync(element('machine'), parts, ({ key }) => key, createPart);
}

/**
 * @typedef {{
 *   readonly key: string,
 *   readonly title: string,
 *   readonly text: string,
 *   readonly lines?: readonly string[],
 *   readonly share?: number,
 *   readonly hint?: string,
 *   readonly action?: readonly [string, () => void],
 *   readonly tone?: string,
 * }} Part
 */

/** @param {PageNews} news @returns {Part | undefined} */
function cachePart({ cache }) {
  if (cache === undefined) return undefined;
  const { folder, objects, bytes, quotaBytes, pinnedBytes } = cache;
  const pinned = pinnedBytes === 0 ? '' : `, ${formatBytes(pinnedBytes)} of it pinned`;
  const many = objects === 1 ? '1 object' : `${objects} objects`;
  return {
    key: 'cache',
    title: 'Cache',
    text: `${formatBytes(bytes)} of ${formatBytes(quotaBytes)} in ${many}${pinned}`,
    hint: folder,
    share: quotaBytes === 0 ? 0 : bytes / quotaBytes,
    action: ['Clear…', () => void clearCache()],
  };
}

/** @param {PageNews} news @returns {Part} */
function queuePart({ status }) {
  const live = (status?.mounts ?? []).filter((mount) => 'source' in mount);
  const sum = (/** @type {(mount: typeof live[number]) => number} */ of) =>
    live.reduce((total, mount) => total + of(mount), 0);
  const files = sum(({ unsavedFiles }) => unsavedFiles);
  const uploads = sum((mount) => mount.uploads ?? 0);
  const journal = sum(({ writeBack }) => writeBack?.files ?? 0);
  const facts = [
    files === 0
      ? 'everything is in its bucket'
      : `not saved yet: ${countFiles(files)}, ${formatBytes(sum(({ unsavedBytes }) => unsavedBytes))}`,
    ...(uploads === 0 ? [] : [uploads === 1 ? '1 upload' : `${uploads} uploads`]),
    ...(journal === 0
      ? []
      : [
          `in the journal: ${countFiles(journal)}, ${formatBytes(sum(({ writeBack }) => writeBack?.bytes ?? 0))}`,
        ]),
  ];
  return {
    key: 'queue',
    title: 'Uploads',
    text: facts.join(', '),
    tone: files === 0 ? '' : 'warn',
  };
}

/** @param {PageNews} news @returns {Part | undefined} */
function leftPart({ left, status, nowMs }) {
  const told = status?.left;
  if (told === undefined || told.files === 0) return undefined;
  const lines = (left ?? []).slice(0, SHOWN).map((file) => leftLine(file, nowMs));
  const more = told.files - lines.length;
  return {
    key: 'left',
    title: 'Left behind',
    text: `Left by mounts that have ended, and not in a bucket: ${countFiles(told.files)}, ${formatBytes(told.bytes)}`,
    lines: more > 0 && lines.length > 0 ? [...lines, `and ${more} more`] : lines,
    hint: 'wire recover --to FOLDER copies it; the next mount of its source by the same person saves what is in a journal.',
    tone: 'warn',
  };
}

/**
 * @param {LeftFile} file
 * @param {number} nowMs
 */
function leftLine({ name, bytes, missingBytes, atMs, path, whose }, nowMs) {
  const missing = missingBytes === 0 ? '' : `, ${formatBytes(missingBytes)} of it only there`;
  const place =
    whose === undefined
      ? `kept in ${path ?? 'the staging folder'}`
      : `for ${whose.source} at ${whose.endpoint}`;
  return `${formatUntil(atMs, nowMs)} ${name}: ${formatBytes(bytes)}${missing}, ${place}`;
}

/** @param {PageNews} news @returns {Part[]} */
function processParts({ status }) {
  return (status?.processes ?? []).flatMap((one) => {
    const {
      pid,
      version,
      metricsUrl,
      accessLog,
      auditLog,
      auditFailures = 0,
      accessDropped = 0,
    } = one;
    const lines = [
      ...(metricsUrl === undefined ? [] : [`metrics: ${metricsUrl}`]),
      ...(auditLog === undefined ? [] : [`audit log: ${auditLog}`]),
      ...(accessLog === undefined ? [] : [`access log: ${accessLog}`]),
      ...(accessDropped === 0 ? [] : [`${accessDropped} operations are not in the access log`]),
      ...(auditFailures === 0 ? [] : [`${auditFailures} changes are not in the audit log`]),
    ];
    const tone = auditFailures > 0 ? 'warn' : '';
    return [{ key: `pid ${pid}`, title: `Process ${pid}`, text: `wire ${version}`, lines, tone }];
  });
}

/** @param {Part} first */
function createPart(first) {
  const title = make('strong', {}, first.title);
  const [label, press] = first.action ?? [];
  const act =
    label !== undefined && press !== undefined ? button(label, 'small', press) : undefined;
  const text = make('p', {});
  const fill = make('div', {});
  const meter = make('div', { class: 'meter', 'aria-hidden': 'true' }, fill);
  const list = make('ul', { class: 'quiet' });
  const hint = make('p', { class: 'quiet' });
  const node = make(
    'div',
    { class: 'part' },
    make('div', { class: 'row spread' }, title, act),
    ...[text, meter, list, hint],
  );
  return {
    node,
    update: (/** @type {Part} */ { text: told, lines = [], share, hint: more = '', tone = '' }) => {
      setText(text, printable(told));
      text.className = tone === 'warn' ? 'warning' : '';
      meter.hidden = share === undefined;
      fill.style.width = `${Math.min(100, (share ?? 0) * 100)}%`;
      list.hidden = lines.length === 0;
      sync(
        list,
        lines,
        (line) => line,
        (line) => ({ node: make('li', {}, printable(line)), update: () => undefined }),
      );
      setText(hint, printable(more));
      hint.hidden = more === '';
    },
  };
}
