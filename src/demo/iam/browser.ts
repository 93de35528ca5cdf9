/**
 * A person at a web browser, as far as the playground's login needs one: cookies, redirects, forms.
 * Speaks HTTP only, so any process can use it.
 */
import { WireError } from '../../lib/wire-error.ts';

/** More pages than any login here has: code, confirmation, login, consent and their redirects. */
const MAX_STEPS = 30;

export interface BrowserVisit {
  /** Where the login begins: `verification_uri`, complete or not, or an authorization URL. */
  readonly url: string;
  /** Typed where a page asks for it. */
  readonly userCode?: string;
  readonly userName: string;
  readonly password?: string;
  readonly decision?: 'approve' | 'deny';
  /** Ticks "do not ask again"; default false. */
  readonly remember?: boolean;
  /** Stops at a redirect to an address that starts so, and returns it: a client's redirect URI. */
  readonly redirectUri?: string;
}

/**
 * Approves a device login as `userName`.
 *
 * @throws WireError `identity-refused` when the pages end in anything but approval.
 */
export async function approveInBrowser(
  verificationUri: string,
  userCode: string,
  userName: string,
  password: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const outcome = await visit(
    { url: verificationUri, userCode, userName, ...(password !== undefined && { password }) },
    signal,
  );
  if (outcome !== 'approved') throw refused(verificationUri, outcome);
}

/**
 * Denies a device login as `userName`.
 *
 * @throws WireError `identity-refused` when the pages end in anything but denial.
 */
export async function denyInBrowser(
  verificationUri: string,
  userCode: string,
  userName: string,
  password: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const outcome = await visit(
    {
      url: verificationUri,
      userCode,
      userName,
      decision: 'deny',
      ...(password !== undefined && { password }),
    },
    signal,
  );
  if (outcome !== 'denied') throw refused(verificationUri, outcome);
}

/** The last page of a login that began at an authorization URL: the client's own. */
export interface ClientPage {
  readonly status: number;
  readonly html: string;
}

/**
 * Logs in at an authorization URL as `userName` and goes back to the client, as a browser would.
 *
 * @throws WireError `identity-refused` when the pages do not lead back to the client.
 */
export async function authorizeInBrowser(
  url: string,
  userName: string,
  password: string | undefined,
  signal: AbortSignal,
  decision: 'approve' | 'deny' = 'approve',
): Promise<ClientPage> {
  const redirectUri = new URL(url).searchParams.get('redirect_uri') ?? '';
  const plan = {
    url,
    userName,
    redirectUri,
    decision,
    ...(password !== undefined && { password }),
  };
  const target = await visit(plan, signal);
  if (!URL.canParse(target)) throw refused(url, target);
  const response = await fetch(target, { redirect: 'manual', signal });
  return { status: response.status, html: await response.text() };
}

/**
 * Walks through the pages until one has no form.
 *
 * @returns how that page says it ended (`approved`, `denied`, `error`), or, with `redirectUri`, the
 *   address that the browser was sent to.
 */
export async function visit(plan: BrowserVisit, signal: AbortSignal): Promise<string> {
  const cookies = new CookieJar();
  const answered = new Set<string>();
  let next: Submission = { url: plan.url };
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const response = await fetch(next.url, { ...cookies.request(next), signal });
    cookies.keep(response, next.url);
    const location = response.headers.get('location');
    if (location !== null) {
      await response.body?.cancel();
      const target = new URL(location, next.url).href;
      if (plan.redirectUri !== undefined && target.startsWith(plan.redirectUri)) return target;
      next = { url: target };
      continue;
    }
    const html = await response.text();
    const outcome = /<main data-outcome="(\w+)"/.exec(html)?.[1];
    if (outcome !== undefined) return outcome;
    const form = parseForm(html);
    if (form === undefined) return 'error';
    const submission = fill(form, next.url, plan);
    // A page that comes back after the same answer does not accept it.
    const key = `${submission.url} ${submission.form?.toString() ?? ''}`;
    if (answered.has(key)) return 'error';
    answered.add(key);
    next = submission;
  }
  return 'error';
}

interface Submission {
  readonly url: string;
  /** Absent: a GET. */
  readonly form?: URLSearchParams;
}

/** Cookies of one host, with their paths, as `Set-Cookie` gave them. */
class CookieJar {
  readonly #cookies = new Map<string, { value: string; path: string }>();

  request({ url, form }: Submission): RequestInit {
    const { pathname } = new URL(url);
    const cookie = [...this.#cookies]
      .filter(([, { path }]) => pathname.startsWith(path))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
    const headers = { ...(cookie !== '' && { cookie }), accept: 'text/html' };
    if (form === undefined) return { headers, redirect: 'manual' };
    return { method: 'POST', headers, body: form, redirect: 'manual' };
  }

  keep(response: Response, url: string): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(/; */);
      const equals = pair.indexOf('=');
      const path = attributes.find((text) => /^path=/i.test(text))?.slice('path='.length);
      const name = pair.slice(0, equals);
      const value = pair.slice(equals + 1);
      const expires = attributes.find((text) => /^expires=/i.test(text))?.slice('expires='.length);
      const isGone = expires !== undefined && Date.parse(expires) <= 0;
      if (isGone || value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, { value, path: path ?? new URL(url).pathname });
    }
  }
}

interface Field {
  readonly name: string;
  readonly value: string;
  readonly type: string;
}

interface Form {
  readonly action: string;
  readonly inputs: readonly Field[];
  readonly buttons: readonly Field[];
}

/** The first form of a page, with the buttons that name it from outside. */
function parseForm(html: string): Form | undefined {
  const found = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(html);
  if (found === null) return undefined;
  const [whole, head = '', inner = ''] = found;
  const id = attribute(head, 'id');
  const outside = tags(html.replace(whole, ''), 'button').filter(
    (tag) => id !== undefined && attribute(tag, 'form') === id,
  );
  return {
    action: attribute(head, 'action') ?? '',
    inputs: tags(inner, 'input').map(toField),
    buttons: [...tags(inner, 'button'), ...outside].map(toField),
  };
}

function tags(html: string, name: string): string[] {
  return [...html.matchAll(new RegExp(`<${name}\\b([^>]*)>`, 'gi'))].map((match) => match[1] ?? '');
}

function toField(tag: string): Field {
  return {
    name: attribute(tag, 'name') ?? '',
    value: attribute(tag, 'value') ?? '',
    type: attribute(tag, 'type') ?? 'text',
  };
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`(?:^|\\s)${name}="([^"]*)"`, 'i')
    .exec(tag)?.[1]
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}

/** What the person types, ticks and presses. */
function fill(form: Form, pageUrl: string, plan: BrowserVisit): Submission {
  const typed: Readonly<Record<string, string | undefined>> = {
    user_code: plan.userCode,
    username: plan.userName,
    password: plan.password,
  };
  const answer = new URLSearchParams();
  for (const { name, value, type } of form.inputs) {
    if (name === '' || (type === 'checkbox' && plan.remember !== true)) continue;
    answer.append(name, type === 'hidden' || type === 'checkbox' ? value : (typed[name] ?? value));
  }
  const button = form.buttons.find(
    ({ name, value }) => name === 'decision' && value === (plan.decision ?? 'approve'),
  );
  if (button !== undefined) answer.append(button.name, button.value);
  return { url: new URL(form.action, pageUrl).href, form: answer };
}

function refused(verificationUri: string, outcome: string): WireError {
  return new WireError('identity-refused', {
    tried: `answer the login at ${new URL(verificationUri).origin}`,
    answered: `its pages ended with: ${outcome}`,
  });
}
