/** Who is logged in, and the way in and out. */
import { askFirst } from './dialogs.js';
import {
  button,
  byId,
  element,
  make,
  makeSvg,
  setAttribute,
  setText,
  sync,
  syncFacts,
} from './elements.js';
import { ask } from './server.js';
import { formatCountdown, formatUntil, printable } from './words.js';

/** @typedef {import('../dist/daemon/ui/page-news.js').PageNews} PageNews */
/** @typedef {NonNullable<PageNews['login']>} LoginState */
/** @typedef {Extract<LoginState, { state: 'waiting' }>} Waiting */
/** @typedef {import('../dist/daemon/identity.js').LoginFacts} LoginFacts */

/** @typedef {{ readonly login: LoginFacts } | { readonly note: string }} Row */

/** @param {PageNews} news */
export function drawLogins({ status, login, nowMs }) {
  const logins = status?.logins ?? [];
  const list = element('logins');
  const trouble = status?.loginsTrouble;
  const note =
    trouble !== undefined
      ? `Logins cannot be shown: ${printable(trouble)}`
      : status !== undefined && logins.length === 0
        ? 'No logins.'
        : undefined;
  /** @type {Row[]} */
  const rows = [
    ...logins.map((one) => ({ login: one })),
    ...(note === undefined ? [] : [{ note }]),
  ];
  nowAtServer = nowMs;
  sync(
    list,
    rows,
    (row) => ('login' in row ? row.login.issuer : `note ${row.note}`),
    (row) =>
      'login' in row
        ? createLogin(row.login)
        : { node: make('p', { class: 'quiet' }, row.note), update: () => undefined },
  );
  drawWay(login);
}

let nowAtServer = 0;

/** @param {LoginFacts} first */
function createLogin({ issuer }) {
  const facts = make('dl', { class: 'facts' });
  const out = button('Log out', 'small', () => void logOut(issuer));
  out.setAttribute('aria-label', `Log out at ${issuer}`);
  const node = make(
    'div',
    { class: 'login' },
    make('div', { class: 'row spread' }, make('h3', {}, printable(issuer)), out),
    facts,
  );
  return {
    node,
    update: (/** @type {Row} */ row) => {
      if (!('login' in row)) return;
      const { who, groups, audience, untilMs, endsSoon } = row.login;
      syncFacts(facts, [
        { name: 'As', text: printable(who) },
        ...(groups.length === 0 ? [] : [{ name: 'Groups', text: printable(groups.join(', ')) }]),
        ...(audience === undefined ? [] : [{ name: 'Audience', text: printable(audience) }]),
        ...(untilMs === undefined
          ? []
          : [{ name: 'Until', text: formatUntil(untilMs, nowAtServer) }]),
        ...(endsSoon === true
          ? [
              {
                name: 'Soon',
                text: 'It ends soon: log in again.',
                tone: /** @type {const} */ ('warn'),
              },
            ]
          : []),
      ]);
    },
  };
}

/** @param {string} issuer */
async function logOut(issuer) {
  const lines = await askFirst(
    {
      title: 'Log out?',
      text: `The login at ${issuer} is revoked and forgotten here. Mounts keep working until their temporary credentials end.`,
      yes: 'Log out',
      tick: { name: 'forget', text: 'also delete the client that wire registered there' },
    },
    async (ticked) => await ask('/logout', { issuer, forget: ticked }),
  );
  if (lines !== undefined) setText(element('login-told'), lines.join('\n'));
}

const dialog = byId('login-dialog', HTMLDialogElement);
const form = byId('login-form', HTMLFormElement);
/** What was shown last: a dialog that the person closed stays closed. */
let shown = '';
/** Until when the code at hand is good, by this machine's clock. */
let codeEndsMs = 0;

/** @param {LoginState | undefined} login */
function drawWay(login) {
  const state = login?.state ?? 'none';
  const isUnderWay = state === 'waiting' || state === 'asking';
  form.hidden = isUnderWay;
  element('login-waiting').hidden = state !== 'waiting';
  element('login-asking').hidden = state !== 'asking';
  setAttribute(
    dialog,
    'aria-labelledby',
    state === 'waiting' ? 'login-waiting-title' : 'login-title',
  );
  const isNew = state !== shown;
  shown = state;
  if (isUnderWay && isNew && !dialog.open) dialog.showModal();
  if (login?.state === 'waiting') drawWaiting(login, isNew);
  if (login !== undefined && isNew) drawEnd(login);
}

/**
 * @param {Waiting & LoginState} login
 * @param {boolean} isNew
 */
function drawWaiting(login, isNew) {
  const { userCode, verificationUri, verificationUriComplete, expiresAtMs, trouble, again } = login;
  codeEndsMs = Date.now() + (expiresAtMs - nowAtServer);
  const code = element('login-code');
  const isOther = code.textContent !== userCode;
  setText(code, userCode);
  setText(element('login-address'), printable(verificationUri));
  setText(
    element('login-who'),
    `Approve only if you started this login yourself and the page shows ${userCode}.`,
  );
  setText(element('login-trouble'), trouble === undefined ? '' : `Still trying: ${trouble}`);
  element('login-again').hidden = !again;
  const link = byId('login-link', HTMLAnchorElement);
  const address = verificationUriComplete ?? verificationUri;
  // The address comes from the provider: only what is a page is followed.
  link.hidden = !/^https?:\/\//.test(address);
  if (!link.hidden) setAttribute(link, 'href', address);
  if (isOther) drawQr(login);
  if (isNew) element('login-waiting-title').focus();
  drawCountdown();
}

/** @param {Waiting & LoginState} login */
function drawQr({ qr }) {
  const box = element('login-qr');
  box.replaceChildren();
  if (qr === undefined) return;
  const { size, path } = qr;
  box.append(
    makeSvg(
      'svg',
      { viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': 'The address as a QR code' },
      makeSvg('path', { d: path }),
    ),
  );
}

export function drawCountdown() {
  if (shown !== 'waiting') return;
  const left = formatCountdown(codeEndsMs - Date.now());
  setText(element('login-left'), `Waiting for it to be approved, ${left} left.`);
}

/** @param {LoginState} login */
function drawEnd(login) {
  const { state, notes } = login;
  const refusal = /** @type {HTMLElement} */ (form.querySelector('.refusal'));
  setText(refusal, login.state === 'failed' ? login.line : '');
  if (login.state === 'done') {
    setText(element('login-told'), [...login.lines, ...notes].join('\n'));
    dialog.close();
  }
  if (state === 'cancelled') dialog.close();
  if (state === 'failed' && !dialog.open) setText(element('login-told'), login.line);
}

export { dialog as loginDialog, form as loginForm };
