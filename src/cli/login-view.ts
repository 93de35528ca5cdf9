/**
 * What a person sees of a device login (RFC 8628): code and address always, a QR code and a
 * countdown where a person watches. The sentence on who may approve is against phishing (§5.4).
 */

import type { DeviceCode, LoginEvents, LoginOutcome } from '../daemon/identity.ts';
import type { Clock } from '../lib/clock.ts';
import type { WireError } from '../lib/wire-error.ts';
import { qrLines } from './qr.ts';
import type { Terminal } from './terminal.ts';
import { formatCountdown, formatUntil } from './times.ts';

/** Lines below the QR code: they must stay in sight with it. */
const LINES_BELOW = 6;

export interface LoginViewOptions {
  readonly terminal: Terminal;
  /** Also where nobody watches, or there is too little room. */
  readonly alwaysQr: boolean;
  /** Shows the page to the person, if that is possible. */
  readonly openPage: (url: string) => void;
}

export class LoginView implements LoginEvents {
  readonly #terminal: Terminal;
  readonly #options: LoginViewOptions;
  #code: DeviceCode | undefined;

  constructor(options: LoginViewOptions) {
    this.#options = options;
    this.#terminal = options.terminal;
  }

  code(code: DeviceCode): void {
    const terminal = this.#terminal;
    const address = code.verificationUriComplete ?? code.verificationUri;
    this.#code = code;
    for (const line of this.#qr(address)) terminal.say(line);
    terminal.say(`Open   ${terminal.style('bold', code.verificationUri)}`);
    terminal.say(`Code   ${terminal.style('bold', code.userCode)}`);
    if (code.verificationUriComplete !== undefined) {
      terminal.say(`or     ${code.verificationUriComplete}`);
    }
    terminal.say(
      `Approve only if you started this login yourself and the page shows ${code.userCode}.`,
    );
    this.#options.openPage(address);
  }

  #qr(address: string): readonly string[] {
    const { watched, coloured, size } = this.#terminal;
    if (this.#options.alwaysQr) return qrLines(address, Infinity, Infinity, coloured);
    return watched ? qrLines(address, size.columns, size.rows - LINES_BELOW, coloured) : [];
  }

  /** Shows how long the present code is still good. */
  countDown(nowMs: number): void {
    if (this.#code === undefined) return;
    const left = formatCountdown(this.#code.expiresAtMs - nowMs);
    const waiting = `Waiting for ${this.#code.userCode} to be approved`;
    this.#terminal.live(`${waiting}, ${left} left (Ctrl-C gives up)`);
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
