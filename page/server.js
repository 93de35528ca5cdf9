/** What is said to the server of this page. */

/** @typedef {import('../dist/daemon/ui/page-server.js').FirstNews} FirstNews */
/** @typedef {import('../dist/daemon/ui/page-news.js').PageNews} PageNews */

/** Of this origin and port alone; worth nothing without the cookie, and after the end of `wire ui`. */
const KEY = 'wire-key';
/** Until the stream of news is tried again, ms. */
const AGAIN_MS = 2000;

/** What was asked was refused; the message is the line that the command would print. */
export class Refusal extends Error {}

/** This browser has no right to the page. */
export class Stranger extends Error {}

/** Takes the token out of the address, before anybody can see it there, and trades it for a session. */
export async function enter() {
  const token = location.hash.slice(1);
  if (token === '') return;
  history.replaceState(null, '', '/');
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch('/session', {
    method: 'POST',
    headers,
    body: JSON.stringify({ token }),
  });
  // One that was used before: this window may have its session all the same.
  if (!answer.ok) return;
  const { key } = await answer.json();
  localStorage.setItem(KEY, key);
}

/** Nothing of a session that is over stays. */
export function forget() {
  localStorage.removeItem(KEY);
}

/** @returns {Record<string, string>} */
function keyHeader() {
  return { 'x-wire-key': localStorage.getItem(KEY) ?? '' };
}

/**
 * @param {string} path
 * @param {object} [fields]
 * @returns {Promise<{ readonly lines?: readonly string[] }>}
 * @throws Refusal with the line to show.
 */
export async function ask(path, fields = {}) {
  const headers = { ...keyHeader(), 'content-type': 'application/json' };
  const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(fields) }).catch(
    () => undefined,
  );
  if (answer === undefined) throw new Refusal('wire ui does not answer: it may have ended');
  return await bodyOf(answer);
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function tell(path) {
  return await bodyOf(await fetch(path, { headers: keyHeader() }));
}

/** @param {Response} answer */
async function bodyOf(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  if (answer.status === 401) throw new Stranger();
  throw new Refusal(body.line ?? `the page was answered ${answer.status}`);
}

/**
 * Tells each piece of news, for as long as there is a server; again when the connection breaks.
 *
 * @param {(news: PageNews | FirstNews) => void} read
 * @param {() => boolean} lost told when nobody answers; whether to try again.
 * @returns {Promise<void>}
 * @throws Stranger
 */
export async function follow(read, lost) {
  for (;;) {
    try {
      await readStream(read);
    } catch (error) {
      if (error instanceof Stranger) throw error;
    }
    if (!lost()) return;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** @param {(news: PageNews) => void} read */
async function readStream(read) {
  const answer = await fetch('/news', { headers: keyHeader() });
  if (!answer.ok || answer.body === null) return await bodyOf(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) read(JSON.parse(line));
  }
}
