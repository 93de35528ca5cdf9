/** Puts the page together: news in, what a person asks out. */
import { Chart } from './chart.js';
import { armClosers, onSubmit } from './dialogs.js';
import { byId, element, field, make, setText } from './elements.js';
import { drawCountdown, drawLogins, loginDialog, loginForm } from './logins.js';
import { drawMounts, drawOffers } from './mounts.js';
import { ask, enter, follow, forget, Stranger, tell } from './server.js';
import { drawMachine } from './storage.js';

/** @typedef {import('../dist/daemon/ui/page-news.js').PageNews} PageNews */
/** @typedef {import('../dist/daemon/ui/page-server.js').FirstNews} FirstNews */
/** @typedef {import('../dist/daemon/ui/page-host.js').OfferedProfile} OfferedProfile */

/** Between two looks at the profiles: a file that people edit. */
const PROFILES_MS = 15_000;

const chart = new Chart();
const banner = element('banner');
const mountDialog = byId('mount-dialog', HTMLDialogElement);
const mountForm = byId('mount-form', HTMLFormElement);
/** @type {readonly OfferedProfile[]} */
let profiles = [];
/** @type {PageNews | undefined} */
let latest;
let hasEnded = false;

/** @param {PageNews | FirstNews} news */
function draw(news) {
  latest = news;
  if ('version' in news) {
    chart.clear();
    setText(element('summary'), `version ${news.version}, on this machine`);
  }
  element('main').hidden = false;
  show(news.trouble);
  drawMounts(news);
  drawOffers(profiles, news);
  drawLogins(news);
  drawMachine(news);
  chart.add(news.samples, news.status?.mounts.map(({ mountPoint }) => mountPoint) ?? []);
}

/** @param {string | undefined} line */
function show(line) {
  banner.hidden = line === undefined;
  setText(banner, line ?? '');
}

async function readProfiles() {
  if (hasEnded) return;
  const told = await tell('/profiles').catch(() => undefined);
  profiles = told?.profiles ?? [];
  if (latest !== undefined) drawOffers(profiles, latest);
}

/**
 * Choices of a form; what was chosen stays while it is there.
 *
 * @param {HTMLSelectElement} select
 * @param {readonly (readonly [value: string, label: string])[]} choices
 */
function offer(select, choices) {
  const chosen = select.value;
  select.replaceChildren(...choices.map(([value, label]) => make('option', { value }, label)));
  if (choices.some(([value]) => value === chosen)) select.value = chosen;
}

/**
 * @param {HTMLFormElement} form
 * @param {string} row
 */
function offerProfiles(form, row) {
  const select = /** @type {HTMLSelectElement} */ (field(form, 'profile'));
  const isFirst = select.options.length === 0;
  offer(select, [
    /** @type {const} */ (['', 'as usual']),
    ...profiles.map(({ name }) => /** @type {const} */ ([name, name])),
  ]);
  const used = profiles.find((profile) => profile.used);
  if (isFirst && used !== undefined) select.value = used.name;
  element(row).hidden = profiles.length === 0;
}

/** What the chosen profile says stands in the fields where nothing is typed. */
function hintMount() {
  const chosen = profiles.find(({ name }) => name === field(mountForm, 'profile').value);
  /** @type {const} */ ([
    ['endpoint', chosen?.endpoint ?? 'https://s3.example.org'],
    ['role', chosen?.role ?? ''],
    ['audience', chosen?.audience ?? ''],
  ]).forEach(([name, hint]) => field(mountForm, name).setAttribute('placeholder', hint));
}

function openMount() {
  offerProfiles(mountForm, 'mount-profile-row');
  offer(/** @type {HTMLSelectElement} */ (field(mountForm, 'issuer')), [
    /** @type {const} */ (['', 'as usual']),
    ...(latest?.status?.logins ?? []).map(
      ({ issuer, who }) => /** @type {const} */ ([issuer, `${who} at ${issuer}`]),
    ),
  ]);
  hintMount();
  mountDialog.showModal();
  field(mountForm, 'source').focus();
}

function openLogin() {
  offerProfiles(loginForm, 'login-profile-row');
  const chosen = profiles.find(({ used }) => used)?.issuer;
  const issuers = profiles.flatMap(({ issuer }) => (issuer === undefined ? [] : [issuer]));
  const known = (latest?.status?.logins ?? []).map(({ issuer }) => issuer);
  const unique = [...new Set([...issuers, ...known])];
  element('issuers').replaceChildren(...unique.map((value) => make('option', { value })));
  field(loginForm, 'issuer').setAttribute('placeholder', chosen ?? 'https://iam.example.org');
  loginDialog.showModal();
  if (!loginForm.hidden) field(loginForm, 'issuer').focus();
}

/**
 * What stands in the fields of a form, by name.
 *
 * @param {HTMLFormElement} form
 */
function fieldsOf(form) {
  /** @type {Record<string, string | boolean>} */
  const fields = {};
  for (const each of form.elements) {
    if (each instanceof HTMLInputElement && each.type === 'checkbox') {
      fields[each.name] = each.checked;
    } else if (each instanceof HTMLInputElement || each instanceof HTMLSelectElement) {
      fields[each.name] = each.value.trim();
    }
  }
  return fields;
}

function arm() {
  armClosers();
  element('mount-open').addEventListener('click', openMount);
  element('login-open').addEventListener('click', openLogin);
  field(mountForm, 'profile').addEventListener('change', hintMount);
  onSubmit(mountForm, async () => {
    const { lines = [] } = await ask('/mount', fieldsOf(mountForm));
    mountDialog.close();
    setText(element('told'), lines.join('\n'));
  });
  onSubmit(loginForm, async () => {
    setText(element('login-told'), '');
    await ask('/login', fieldsOf(loginForm));
  });
  const cancel = () => void ask('/login/cancel').catch(() => undefined);
  element('login-cancel').addEventListener('click', cancel);
  element('login-stop').addEventListener('click', cancel);
  // Escape leaves the dialog, and so the login that it is about.
  loginDialog.addEventListener('cancel', () => {
    if (loginForm.hidden) cancel();
  });
  element('end').addEventListener('click', () => void end());
  // Another address of the same port, pasted into this window.
  addEventListener('hashchange', () => location.reload());
  setInterval(drawCountdown, 1000);
}

async function end() {
  // Before it is asked for: the stream of news may end first.
  hasEnded = true;
  await ask('/end').catch(() => undefined);
  forget();
  leave('This page has ended. What was mounted stays; come back with: wire ui');
}

/** @param {string} line */
function leave(line) {
  hasEnded = true;
  element('main').hidden = true;
  element('end').hidden = true;
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  show(line);
}

async function run() {
  arm();
  await enter();
  await readProfiles();
  setInterval(() => void readProfiles(), PROFILES_MS);
  try {
    await follow(draw, () => {
      if (!hasEnded) show('wire ui does not answer: it has ended, or is about to. Mounts stay.');
      return !hasEnded;
    });
  } catch (error) {
    if (!(error instanceof Stranger)) throw error;
    forget();
    leave(
      'This page opens with the address that wire ui prints, once, in one browser. Start another: wire ui',
    );
  }
}

await run();
