/**
 * A login for programs and notebooks: one JSON object a line on stdout, `event` says which. What
 * they hold may be shown to the person: codes to type, never those that fetch tokens.
 */
import type { DeviceCode, LoginEvents, LoginOutcome, LoginPage } from '../daemon/identity.ts';
import type { WireError } from '../lib/wire-error.ts';
import type { Terminal } from './terminal.ts';

/** For `wire login --help`. */
export const loginEventsHelp = `
With --json, one object a line on stdout:
  {"event":"code","userCode","verificationUri","verificationUriComplete"?,"expiresAt"}
  {"event":"page","url","redirectUri","expiresAt"}           with --flow browser
  {"event":"pending","secondsLeft"}                          nobody has approved yet
  {"event":"trouble","kind","message"}                       no answer; wire asks again
  {"event":"restarted"}                                      the code expired; another follows
  {"event":"note","message"}
  {"event":"done","issuer","who","groups","audience"?,"until"?,"storedIn"}
  {"event":"failed","kind","exitCode","message","next"?}
Times are ISO 8601. The last one is done or failed.
`;

export class LoginJson implements LoginEvents {
  readonly #terminal: Terminal;
  readonly #openPage: (url: string) => boolean;

  /** @param openPage shows the page to the person, where there is a browser. */
  constructor(terminal: Terminal, openPage: (url: string) => boolean) {
    this.#terminal = terminal;
    this.#openPage = openPage;
  }

  code({ expiresAtMs, ...code }: DeviceCode): void {
    this.#tell('code', { ...code, expiresAt: isoTime(expiresAtMs) });
    this.#openPage(code.verificationUriComplete ?? code.verificationUri);
  }

  page({ expiresAtMs, ...page }: LoginPage): void {
    this.#tell('page', { ...page, expiresAt: isoTime(expiresAtMs) });
    this.#openPage(page.url);
  }

  pending(remainingMs: number): void {
    this.#tell('pending', { secondsLeft: Math.ceil(remainingMs / 1000) });
  }

  trouble({ kind, message }: WireError): void {
    this.#tell('trouble', { kind, message });
  }

  restarted(): void {
    this.#tell('restarted', {});
  }

  note(message: string): void {
    this.#tell('note', { message });
  }

  done({ untilMs, ...login }: LoginOutcome): void {
    this.#tell('done', { ...login, ...(untilMs !== undefined && { until: isoTime(untilMs) }) });
  }

  failed({ kind, exitCode, message, facts }: WireError): void {
    this.#tell('failed', { kind, exitCode, message, next: facts.next });
  }

  #tell(event: string, fields: Readonly<Record<string, unknown>>): void {
    this.#terminal.result(JSON.stringify({ event, ...fields }));
  }
}

function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
