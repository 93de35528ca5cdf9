/**
 * The head of an HTTP/1.1 answer, read strictly (RFC 9112): where two readers could differ about
 * where the answer ends, it is no answer.
 */

/** How the end of a body is known. */
export type Framing =
  | { readonly by: 'length'; readonly bytes: number }
  | { readonly by: 'chunks' }
  /** The server closes the connection: what came may be all, or not. */
  | { readonly by: 'close' };

export interface AnswerHead {
  readonly status: number;
  /** By lower-case name; those that came several times are joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: Framing;
  /** Another request may follow on this connection. */
  readonly keepsAlive: boolean;
}

/** What came is not an HTTP answer, or not one that can be relied on. */
export class BadAnswerError extends Error {
  override readonly name = 'BadAnswerError';
}

const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/;
/** One field: a token, a colon at once, then no control character but tab (RFC 9110 §5.5). */
const fieldLine = /([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)\r\n/y;
/** Fewer digits than a double holds exactly. */
const length = /^\d{1,15}$/;

/**
 * @param text the head up to and with the line end of its last field, one character a byte.
 * @param toHead it answers a HEAD: there is no body, whatever the head says of one.
 * @throws BadAnswerError
 */
export function parseHead(text: string, toHead = false): AnswerHead {
  const first = statusLine.exec(text);
  if (first === null) throw new BadAnswerError('no status line');
  const [line, minor, digits] = first;
  const status = Number(digits);
  const headers = parseFields(text, line.length);
  const tokens = tokensOf(headers.get('connection'));
  const keepsAlive = minor === '1' && !tokens.includes('close');
  const said = framingOf(status, headers, minor === '1');
  const framing = toHead ? noBody : said;
  return { status, headers, framing, keepsAlive: keepsAlive && framing.by !== 'close' };
}

function parseFields(text: string, start: number): Map<string, string> {
  const headers = new Map<string, string>();
  let at = start;
  while (at < text.length) {
    fieldLine.lastIndex = at;
    const field = fieldLine.exec(text);
    if (field === null) throw new BadAnswerError('a broken header field');
    const [whole, name = '', raw = ''] = field;
    const lower = name.toLowerCase();
    const value = raw.trim();
    const before = headers.get(lower);
    headers.set(lower, before === undefined ? value : `${before}, ${value}`);
    at += whole.length;
  }
  return headers;
}

function tokensOf(list: string | undefined): readonly string[] {
  return (list ?? '').split(',').map((token) => token.trim().toLowerCase());
}

const noBody: Framing = { by: 'length', bytes: 0 };

/** RFC 9112 §6.3, without its leniency. */
function framingOf(status: number, headers: ReadonlyMap<string, string>, modern: boolean): Framing {
  const encoding = headers.get('transfer-encoding');
  const bytes = headers.get('content-length');
  if (encoding !== undefined && (bytes !== undefined || !modern)) {
    throw new BadAnswerError('two lengths');
  }
  // A list of lengths, be they equal, is refused here as well.
  if (bytes !== undefined && !length.test(bytes)) throw new BadAnswerError('a broken length');
  if (status < 200 || status === 204 || status === 304) return noBody;
  if (bytes !== undefined) return { by: 'length', bytes: Number(bytes) };
  if (encoding === undefined) return { by: 'close' };
  if (encoding.toLowerCase() !== 'chunked') throw new BadAnswerError('an unknown encoding');
  return { by: 'chunks' };
}
