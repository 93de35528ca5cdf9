/**
 * What a person sees of a login. Of a device login (RFC 8628): code and address always, a QR code
 * and a countdown where a person watches; of a login with a browser: the page. The sentence on who
 * may approve is against phishing (§5.4).
 */

import type { DeviceCode, LoginEvents, LoginOutcome, LoginPage } from '../daemon/identity.ts';
import type { Clock } from '../lib/clock.ts';
import type { WireError } from '../lib/wire-error.ts';
import { qrLines } from './qr.ts';
import type { Terminal } from './terminal.ts';
import { formatCountdown, formatUntil } from './times.ts';

export interface LoginViewOptions {
  readonly terminal: Terminal;
  /** Also where nobody watches, or there is too little room. */
  readonly alwaysQr: boolean;
  /** Shows the page to the person; false where there is no browser. */
  readonly openPage: (url: string) => boolean;
}

interface Waiting {
  readonly what: string;
  readonly hint: string;
  readonly expiresAtMs: number;
}

export class LoginView implements LoginEvents {
  readonly #terminal: Terminal;
  readonly #options: LoginViewOptions;
  #waiting: Waiting | undefined;

  constructor(options: LoginViewOptions) {
    this.#options = options;
    this.#terminal = options.terminal;
  }

  code({ userCode, verificationUri, verificationUriComplete, expiresAtMs }: DeviceCode): void {
    const terminal = this.#terminal;
    const address = verificationUriComplete ?? verificationUri;
    const warning = `Approve only if you started this login yourself and the page shows ${userCode}.`;
    const complete =
      verificationUriComplete === undefined ? [] : [`or     ${verificationUriComplete}`];
    const plain = [`Open   ${verificationUri}`, `Code   ${userCode}`, ...complete, warning];
    for (const line of this.#qr(address, plain)) terminal.say(line);
    terminal.say(`Open   ${terminal.style('bold', verificationUri)}`);
    terminal.say(`Code   ${terminal.style('bold', userCode)}`);
    for (const line of [...complete, warning]) terminal.say(line);
    // INDIGO IAM tells wire of an approval, never of a denial.
    const hint = 'if you pressed Deny, press Ctrl-C';
    this.#waiting = { what: `for ${userCode} to be approved`, hint, expiresAtMs };
    this.#options.openPage(address);
  }

  page({ url, redirectUri, expiresAtMs }: LoginPage): void {
    const terminal = this.#terminal;
    const { host, port } = new URL(redirectUri);
    terminal.say(`Open   ${url}`);
    terminal.say('Log in there only if you started this login yourself.');
    this.#waiting = { what: 'for the browser to come back', hint: 'Ctrl-C gives up', expiresAtMs };
    if (this.#options.openPage(url)) return;
    terminal.say(
      `The browser has to reach ${host} of this machine; from another one forward it first` +
        ` (ssh -L ${port}:${host} …), or log in with --flow device.`,
    );
  }

  /** @param below lines that must stay in sight with it. */
  #qr(address: string, below: readonly string[]): readonly string[] {
    const { watched, coloured, size } = this.#terminal;
    if (this.#options.alwaysQr) return qrLines(address, Infinity, Infinity, coloured);
    const { columns, rows } = size;
    const wrapped = below.map((line) => Math.ceil(line.length / columns));
    // One more for the countdown.
    const room = rows - wrapped.reduce((sum, lines) => sum + lines, 1);
    return watched ? qrLines(address, columns, room, coloured) : [];
  }

  /** Shows how long the present code or page is still good. */
  countDown(nowMs: number): void {
    if (this.#waiting === undefined) return;
    const { what, hint, expiresAtMs } = this.#waiting;
    const left = formatCountdown(expiresAtMs - nowMs);
    const line = `Waiting ${what}, ${left} left; ${hint}`;
    // A line that wraps cannot be replaced.
    this.#terminal.live(line.slice(0, this.#terminal.size.columns - 1));
  }

  trouble(error: WireError): void {
    this.#terminal.say(`${this.#terminal.style('yellow', 'still trying:')} ${error.message}`);
  }

  restarted(): void {
    this.#terminal.say('The code has expired; here is a new one.');
  }

  note(text: string): void {
    this.#terminal.say(`note: ${text}`);
  }

  done(login: LoginOutcome, nowMs: number): void {
    // Where the key is decides how long the login lasts and who else could use it.
    this.#terminal.say(this.#terminal.style('dim', `Kept in ${login.storedIn}`));
    this.#terminal.say(describeLogin(login, nowMs));
  }
}

/** `Logged in at https://iam as budda (groups a, b) until 21 Dec 10:00, audience object`. */
export function describeLogin(login: LoginOutcome, nowMs: number): string {
  const groups = login.groups.length === 0 ? '' : ` (groups ${login.groups.join(', ')})`;
  const until = login.untilMs === undefined ? '' : ` until ${formatUntil(login.untilMs, nowMs)}`;
  const audience = login.audience === undefined ? '' : `, audience ${login.audience}`;
  return `Logged in at ${login.issuer} as ${login.who}${groups}${until}${audience}`;
}

/** Refreshes the countdown each second until `signal` aborts. */
export async function countDown(view: LoginView, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    view.countDown(clock.now());
    await clock.sleep(1000, signal).catch(() => undefined);
  }
}
