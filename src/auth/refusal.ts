/**
 * What a provider answered when it said no, made fit to be shown. INDIGO IAM writes device codes
 * and whole tokens into `error_description`: every secret of the request is taken out, and
 * whatever looks like a token.
 */
import { redact, redactKnown, type Secret } from '../lib/secret.ts';
import { WireError, type WireErrorKind } from '../lib/wire-error.ts';
import type { HttpReply } from '../net/http.ts';
import { isObject } from './jwt.ts';

/** A refusal over HTTP. Decide by `status` and `code`; the texts are for people. */
export class Refusal extends WireError {
  override readonly name = 'Refusal';
  readonly status: number;
  /** `error` of RFC 6749 §5.2, if there was one. */
  readonly code: string | undefined;
  /** `error_description`, redacted. */
  readonly description: string;
  /** A web page said so: perhaps that of a proxy or a captive portal, not of the provider. */
  readonly isPage: boolean;

  constructor(tried: string, status: number, said: Said, next: string | undefined) {
    const answered = [`${status}`, said.code, said.description && `(${said.description})`];
    const kind = kindOf(status);
    super(kind, {
      tried,
      answered: answered.filter(Boolean).join(' '),
      next: next ?? (kind === 'unavailable' ? 'try again later' : 'ask whoever runs the provider'),
    });
    this.status = status;
    this.code = said.code;
    this.description = said.description;
    this.isPage = said.isPage === true;
  }
}

interface Said {
  readonly code: string | undefined;
  readonly description: string;
  readonly isPage?: boolean;
}

/** A server's longest text worth a line on a terminal. */
const SHOWN_CHARS = 200;

/** `reply`, which was not a success, as an error without any of `secrets`. */
export function refusalOf(
  tried: string,
  reply: HttpReply,
  secrets: readonly Secret[],
  next?: string,
): Refusal {
  // Before anything is cut: half a secret would not be known again.
  const said = parse(redactKnown(redact(reply.text, secrets)));
  const clean = (text: string): string => presentable(text, secrets);
  const code = said.code === undefined ? undefined : clean(said.code);
  const shown = { ...said, code, description: clean(said.description) };
  return new Refusal(tried, reply.status, shown, next);
}

function kindOf(status: number): WireErrorKind {
  // No provider sends who asks for a token elsewhere (RFC 6749 section 5): a captive portal does.
  const isElsewhere = status >= 300 && status < 400;
  const isPassing = status >= 500 || status === 429 || status === 408 || isElsewhere;
  return isPassing ? 'unavailable' : 'identity-refused';
}

/** JSON as RFC 6749 has it, IAM's API shape with free text in `error`, a page, or nothing. */
function parse(text: string): Said {
  try {
    const json: unknown = JSON.parse(text);
    if (isObject(json)) {
      const error = typeof json['error'] === 'string' ? json['error'] : undefined;
      const more = typeof json['error_description'] === 'string' ? json['error_description'] : '';
      // A code is one word (RFC 6749 §5.2); IAM's registration writes a sentence there.
      const isCode = error !== undefined && /^[a-z_]+$/.test(error);
      return isCode
        ? { code: error, description: more }
        : { code: undefined, description: error ?? more };
    }
  } catch {
    // Not JSON: a page of a proxy or of the provider.
  }
  const isPage = /<(?:!doctype|html|head|body|title|h1)\b/i.test(text);
  return { code: undefined, description: pageText(text), isPage };
}

/** The title of an HTML page, else its first words. */
function pageText(text: string): string {
  const title = /<title[^>]*>([^<]{1,400})/i.exec(text)?.[1];
  if (title !== undefined) return `an HTML page: ${title}`;
  return text.slice(0, 4096).replace(/<[^>]*>/g, ' ');
}

/** Text of a server for a terminal: no secrets, no control characters, not long. */
export function presentable(text: string, secrets: readonly Secret[]): string {
  const clean = redactKnown(redact(text, secrets))
    .replace(/eyJ[\w-]{8,}(\.[\w-]*){0,2}/g, '[token]')
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
  return clean.length > SHOWN_CHARS ? `${clean.slice(0, SHOWN_CHARS)}…` : clean;
}
