/** What a login tells whoever shows it to a person. */
import type { WireError } from '../lib/wire-error.ts';

/** What the person needs to approve; the code that fetches the tokens stays inside. */
export interface DeviceCode {
  /** To be shown as it is: it may hold `-` and `_`, and case may matter. */
  readonly userCode: string;
  readonly verificationUri: string;
  /** With the code already in it: for a QR code or a browser. */
  readonly verificationUriComplete?: string;
  /** By our wall clock, ms since the epoch. */
  readonly expiresAtMs: number;
}

/** The provider's page, for a browser of this machine. */
export interface LoginPage {
  readonly url: string;
  /** Where the browser comes back to: `http://127.0.0.1:PORT/…`. */
  readonly redirectUri: string;
  /** Until when that is waited for; by our wall clock, ms since the epoch. */
  readonly expiresAtMs: number;
}

export interface LoginEvents {
  /** Show this; called again, after `restarted`, when a code ran out. */
  code(code: DeviceCode): void;
  /** Instead of a code, in a login with a browser: show this and open it. */
  page?(page: LoginPage): void;
  /** Still waiting, with this much of the code's life left. */
  pending?(remainingMs: number): void;
  /** A poll got no answer; the next one may. */
  trouble?(error: WireError): void;
  /** The code expired and a new one follows. */
  restarted?(): void;
  /** One line worth showing: what the provider did not grant. */
  note?(text: string): void;
}
