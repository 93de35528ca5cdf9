/** Mounts: what they are, what they do, what is not saved; and those of a profile that are not there. */
import { askFirst } from './dialogs.js';
import { button, element, make, setAttribute, setText, sync, syncFacts } from './elements.js';
import { ask, Refusal } from './server.js';
import { countFiles, formatBytes, formatTaken, formatUntil, printable } from './words.js';

/** @typedef {import('../dist/daemon/ui/page-news.js').PageNews} PageNews */
/** @typedef {import('../dist/daemon/ui/page-works.js').UnderWay} UnderWay */
/** @typedef {import('../dist/daemon/ui/page-host.js').OfferedProfile} OfferedProfile */
/** @typedef {import('../dist/daemon/ui/page-host.js').OfferedMount} OfferedMount */
/** @typedef {import('../dist/daemon/status.js').LiveMountStatus} LiveMount */
/** @typedef {import('../dist/daemon/status.js').LostMountStatus} LostMount */
/** @typedef {import('../dist/daemon/mount-watch.js').TimedWork} TimedWork */
/** @typedef {import('./elements.js').Fact} Fact */
/** @typedef {LiveMount | LostMount} AnyMount */

/** The last refusal of each place, until it is tried again. @type {Map<string, Failure>} */
const failures = new Map();

/** @typedef {{ readonly line: string, readonly lazily: boolean }} Failure */

/** @type {PageNews | undefined} */
let latest;

/** @param {PageNews} news */
export function drawMounts(news) {
  latest = news;
  const mounts = news.status?.mounts ?? [];
  const list = element('mounts');
  sync(list, mounts, ({ mountPoint }) => mountPoint, createCard);
  drawEmpty(list, news);
  const starting = news.underWay.filter(({ what }) => what === 'mount');
  sync(element('starting'), starting, ({ id }) => String(id), createStarting);
}

function redraw() {
  if (latest !== undefined) drawMounts(latest);
}

/**
 * @param {HTMLElement} list
 * @param {PageNews} news
 */
function drawEmpty(list, { status }) {
  const isEmpty = status !== undefined && status.mounts.length === 0;
  const there = list.querySelector('.empty');
  if (!isEmpty) there?.remove();
  else if (there === null) list.append(make('p', { class: 'empty' }, 'No mounts.'));
}

/** @param {UnderWay} work */
function createStarting({ id, place }) {
  const node = make(
    'div',
    { class: 'card row spread', role: 'status' },
    make('span', {}, 'Mounting ', make('strong', {}, printable(place)), ' …'),
    button('Cancel', 'small', () => void ask('/cancel', { id }).catch(() => undefined)),
  );
  return { node, update: () => undefined };
}

/** @param {AnyMount} mount */
function createCard({ mountPoint }) {
  const id = `mount-${(ids += 1)}`;
  const state = make('span', { class: 'badge' });
  const facts = make('dl', { class: 'facts' });
  const times = make('table', {}, head(), make('tbody', {}));
  const details = make(
    'details',
    {},
    make('summary', {}, 'How long things take'),
    make('div', { class: 'scroll' }, times),
  );
  const work = make('div', { class: 'work' });
  const trouble = make('div', { class: 'failure', role: 'alert' });
  const buttons = make('div', { class: 'row' });
  const title = make('h3', { id }, printable(mountPoint));
  const node = make(
    'article',
    { class: 'card mount', 'aria-labelledby': id },
    make('div', { class: 'head' }, title, state),
    ...[facts, details, trouble, work, buttons],
  );
  const unmount = button('Unmount', 'small', () => void unmountAt(mountPoint, false));
  const refresh = button('Look at names anew', 'small', () => void refreshAt(mountPoint));
  refresh.title = 'Forget names, versions and attributes, so that the store is asked again';
  buttons.append(unmount, refresh);
  return {
    node,
    update: (/** @type {AnyMount} */ mount) => {
      const isLive = 'source' in mount;
      drawState(state, mount);
      syncFacts(facts, isLive ? liveFacts(mount) : lostFacts(mount));
      const rows = isLive ? timesOf(mount) : [];
      details.hidden = rows.length === 0;
      drawTimes(/** @type {HTMLElement} */ (times.tBodies[0]), rows);
      const own = latest?.underWay.filter(({ place }) => place === mountPoint) ?? [];
      const leaving = own.find(({ what }) => what === 'unmount');
      drawLeaving(work, leaving);
      drawTrouble(trouble, mountPoint);
      unmount.disabled = leaving !== undefined;
      refresh.hidden = !isLive;
      refresh.disabled = own.length > 0;
    },
  };
}

let ids = 0;

/**
 * @param {HTMLElement} badge
 * @param {AnyMount} mount
 */
function drawState(badge, mount) {
  const isDegraded = 'source' in mount && mount.degraded !== undefined;
  const lost = mount.state === 'dead' || mount.state === 'silent';
  const tone = lost ? ' bad' : isDegraded || mount.state !== 'ready' ? ' warn' : '';
  setText(badge, isDegraded ? `${mount.state}, degraded` : mount.state);
  setAttribute(badge, 'class', `badge${tone}`);
}

/**
 * @param {LostMount} mount
 * @returns {Fact[]}
 */
function lostFacts({ state }) {
  const text =
    state === 'dead'
      ? 'its process is gone: unmount it, or mount again'
      : "its process does not answer, or is another user's: wire unmount --force cuts it off";
  return [{ name: 'State', text, tone: 'bad' }];
}

const enforcementWords = {
  enforced: 'enforced',
  'not enforced': 'NOT enforced by the server',
  'cannot tell': 'no telling whether the server enforces it',
  untested: 'not tested yet',
};

/**
 * The facts of `wire status`, in its words.
 *
 * @param {LiveMount} mount
 * @returns {Fact[]}
 */
function liveFacts(mount) {
  const now = latest?.nowMs ?? Date.now();
  const { credentialsUntilMs: until, unsavedFiles, unsavedBytes, rights, failures: failed } = mount;
  const { reading } = mount;
  const latestOf = new Map(failed.map((one) => [one.name, one]));
  return [
    fact('Source', `${mount.source} at ${mount.endpoint}${mount.readOnly ? ', read-only' : ''}`),
    mount.degraded !== undefined &&
      fact('Degraded', `${mount.degraded} (${mount.degradedReason ?? 'no reason given'})`, 'warn'),
    until !== undefined && fact('Credentials', `until ${formatUntil(until, now)}`),
    rights?.limit !== undefined &&
      fact('Rights', `limited to ${rights.limit} (${enforcementWords[rights.enforcement]})`),
    fact('Reads', readingText(mount)),
    fact('Writes', writingText(mount)),
    unsavedFiles > 0 &&
      fact('Not saved yet', `${countFiles(unsavedFiles)}, ${formatBytes(unsavedBytes)}`, 'warn'),
    fact('Journal', journalText(mount, now), mount.writeBack?.trouble && 'warn'),
    fact('Errors', errorText(mount), 'bad'),
    ...[...latestOf.values()].map(({ name, message, atMs, keptAt }) => {
      const place = keptAt === undefined ? '' : `; its bytes are kept in ${keptAt}`;
      const line = `${formatUntil(atMs, now)}: ${message}${place}`;
      return fact(`Not saved: ${name}`, line, 'bad');
    }),
    reading !== undefined &&
      reading.archived.length > 0 &&
      fact('In cold storage', reading.archived.join(', '), 'warn'),
    fact('Process', `pid ${mount.pid}, since ${formatUntil(mount.readySinceMs, now)}`),
  ].filter((one) => one !== false && one !== undefined);
}

/**
 * Nothing where there is nothing to tell.
 *
 * @param {string} name
 * @param {string} text
 * @param {'warn' | 'bad' | '' | undefined} [tone]
 * @returns {Fact | undefined}
 */
function fact(name, text, tone) {
  if (text === '') return undefined;
  return { name: printable(name), text: printable(text), tone: tone === '' ? undefined : tone };
}

/** @param {LiveMount} mount */
function readingText({ reading, work }) {
  if (reading === undefined || reading.readBytes === 0) return '';
  const { readBytes, fetchedBytes, diskBytes, hits, misses } = reading;
  const reads = hits + misses;
  return [
    formatBytes(readBytes),
    ...(reads === 0 ? [] : [`${Math.floor((hits / reads) * 100)} % from memory`]),
    ...(diskBytes === 0 ? [] : [`${formatBytes(diskBytes)} from the disk`]),
    `${formatBytes(fetchedBytes)} from the store${rateText(work?.traffic.received)}`,
  ].join(', ');
}

/** @param {LiveMount} mount */
function writingText({ uploads = 0, work }) {
  if (work === undefined) return '';
  const { writtenBytes, sent } = work.traffic;
  if (writtenBytes === 0 && sent.bytes === 0 && uploads === 0) return '';
  const way = uploads === 0 ? [] : [uploads === 1 ? '1 upload' : `${uploads} uploads`];
  const store = `${formatBytes(sent.bytes)} to the store${rateText(sent)}`;
  return [formatBytes(writtenBytes), ...way, store].join(', ');
}

/** @param {{ readonly bytesPerSecond: number } | undefined} flow */
function rateText(flow) {
  if (flow === undefined || flow.bytesPerSecond === 0) return '';
  return ` (${formatBytes(flow.bytesPerSecond)}/s)`;
}

/**
 * @param {LiveMount} mount
 * @param {number} now
 */
function journalText({ writeBack }, now) {
  if (writeBack === undefined || writeBack.files === 0) return '';
  const { files, bytes, oldestMs, trouble } = writeBack;
  const since = oldestMs === undefined ? '' : `, the oldest since ${formatUntil(oldestMs, now)}`;
  const why = trouble === undefined ? '' : ` (${trouble})`;
  return `${countFiles(files)}, ${formatBytes(bytes)}${since}${why}`;
}

/** Refusals that mean trouble, as in `wire status`: that a name is not there is an answer. */
const troubles = new Set([
  ...['EIO', 'EACCES', 'EKEYEXPIRED', 'ESTALE', 'ENOSPC', 'EDQUOT', 'EFBIG'],
  ...['access-denied', 'credentials-expired', 'login-expired', 'unavailable', 'unreachable'],
  ...['archived', 'over-quota', 'store-full', 'internal'],
]);

/** @param {LiveMount} mount */
function errorText({ work }) {
  const all = [...(work?.operations ?? []), ...(work?.requests ?? [])];
  return all
    .flatMap(({ name, errors = {} }) =>
      Object.entries(errors)
        .filter(([kind]) => troubles.has(kind))
        .map(([kind, count]) => `${name.toLowerCase()} ${kind} ${count}`),
    )
    .join(', ');
}

/** The busiest of each, as `wire status --watch` has them. */
const BUSIEST = 6;

/**
 * @param {LiveMount} mount
 * @returns {(TimedWork & { readonly of: string })[]}
 */
function timesOf({ work }) {
  if (work === undefined) return [];
  const busiest = (/** @type {string} */ of, /** @type {readonly TimedWork[]} */ works) =>
    [...works]
      .sort((a, b) => b.sumMs - a.sumMs)
      .slice(0, BUSIEST)
      .map((one) => ({ ...one, of, name: one.name.toLowerCase() }));
  return [...busiest('files', work.operations), ...busiest('store', work.requests)];
}

function head() {
  const names = ['', 'count', 'p50', 'p99', 'max'];
  const cells = names.map((name) => make('th', { scope: 'col' }, name));
  cells[0]?.append(make('span', { class: 'unseen' }, 'what'));
  return make('thead', {}, make('tr', {}, ...cells));
}

/**
 * @param {HTMLElement} body
 * @param {readonly (TimedWork & { readonly of: string })[]} rows
 */
function drawTimes(body, rows) {
  sync(
    body,
    rows,
    ({ of, name }) => `${of} ${name}`,
    ({ of, name }) => {
      const cells = [1, 2, 3, 4].map(() => make('td', {}));
      const node = make('tr', {}, make('th', { scope: 'row' }, `${of} ${name}`), ...cells);
      return {
        node,
        update: ({ count, p50Ms, p99Ms, maxMs }) => {
          const texts = [count.toLocaleString('en-GB'), ...[p50Ms, p99Ms, maxMs].map(formatTaken)];
          cells.forEach((cell, at) => setText(cell, texts[at] ?? ''));
        },
      };
    },
  );
}

/**
 * @param {HTMLElement} box
 * @param {UnderWay | undefined} work
 */
function drawLeaving(box, work) {
  box.hidden = work === undefined;
  sync(
    box,
    work === undefined ? [] : [work],
    ({ id }) => String(id),
    ({ id }) => {
      const text = make('span', { role: 'status' });
      const cancel = button('Cancel', 'small', () => {
        ask('/cancel', { id }).catch(() => undefined);
      });
      const bar = make('progress', { 'aria-label': 'Unmounting' });
      const node = make('div', {}, make('div', { class: 'row spread' }, text, cancel), bar);
      return {
        node,
        update: ({ left }) => {
          const rest =
            left === undefined
              ? ''
              : ` Saving: ${countFiles(left.files)}, ${formatBytes(left.bytes)} to go.`;
          setText(text, `Unmounting …${rest}`);
        },
      };
    },
  );
}

/**
 * @param {HTMLElement} box
 * @param {string} mountPoint
 */
function drawTrouble(box, mountPoint) {
  const failure = failures.get(mountPoint);
  box.hidden = failure === undefined;
  sync(
    box,
    failure === undefined ? [] : [failure],
    ({ line }) => line,
    ({ line, lazily }) => {
      const choices = [
        ...(lazily
          ? [button('Take it out of sight now', 'small', () => void unmountAt(mountPoint, true))]
          : []),
        button('Dismiss', 'small', () => {
          failures.delete(mountPoint);
          redraw();
        }),
      ];
      const node = make('div', {}, make('p', {}, line), make('div', { class: 'row' }, ...choices));
      return { node, update: () => undefined };
    },
  );
}

/**
 * @param {string} mountPoint
 * @param {boolean} lazy
 */
async function unmountAt(mountPoint, lazy) {
  // What is in use may be taken out of sight, and ends with the last program in it.
  await attempt(mountPoint, !lazy, async () => await ask('/unmount', { mountPoint, lazy }));
}

/** @param {string} mountPoint */
async function refreshAt(mountPoint) {
  await attempt(mountPoint, false, async () => await ask('/refresh', { mountPoint }));
}

/**
 * @param {string} mountPoint
 * @param {boolean} lazily
 * @param {() => Promise<{ readonly lines?: readonly string[] }>} work
 */
async function attempt(mountPoint, lazily, work) {
  failures.delete(mountPoint);
  redraw();
  try {
    const { lines = [] } = await work();
    setText(element('told'), lines.join('\n'));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    failures.set(mountPoint, { line: error.message, lazily });
    redraw();
  }
}

/**
 * Mounts of profiles that could be there.
 *
 * @param {readonly OfferedProfile[]} profiles
 * @param {PageNews} news
 */
export function drawOffers(profiles, news) {
  const there = new Set(news.status?.mounts.map(({ mountPoint }) => mountPoint));
  const offers = profiles.flatMap(({ name, mounts }) =>
    mounts
      .filter(({ mountPoint }) => mountPoint !== undefined && !there.has(mountPoint))
      .map((mount) => ({ profile: name, mount })),
  );
  sync(element('offers'), offers, ({ profile, mount }) => `${profile}/${mount.name}`, createOffer);
}

/** @param {{ readonly profile: string, readonly mount: OfferedMount }} offer */
function createOffer({ profile, mount }) {
  const { name, source, mountPoint = '', readOnly } = mount;
  const trouble = make('p', { class: 'refusal', role: 'alert' });
  const press = button('Mount', 'small', () => void start());
  press.setAttribute('aria-label', `Mount ${name} of profile ${profile}`);
  const start = async () => {
    press.disabled = true;
    setText(trouble, '');
    try {
      const { lines = [] } = await ask('/mount', { profile, names: [name], makeFolder: true });
      setText(element('told'), lines.join('\n'));
    } catch (error) {
      if (error instanceof Refusal) setText(trouble, error.message);
    } finally {
      press.disabled = false;
    }
  };
  const what = make('strong', {}, printable(name));
  const where = `${source}${readOnly ? ', read-only' : ''} → ${mountPoint} (profile ${profile})`;
  const text = make('div', {}, what, make('div', { class: 'quiet' }, printable(where)));
  const node = make(
    'div',
    { class: 'card' },
    make('div', { class: 'row spread' }, text, press),
    trouble,
  );
  return { node, update: () => undefined };
}

/** Asks, and clears the cache. */
export async function clearCache() {
  await askFirst(
    {
      title: 'Clear the cache?',
      text: 'Content that is kept on this machine is deleted, pinned content too. What was written and is not in its bucket yet is never touched.',
      yes: 'Clear it',
    },
    async () => await ask('/cache/clear'),
  );
}
