/**
 * AWS Signature Version 4 in the headers of a request (AWS documentation, "Authenticating Requests:
 * Using the Authorization Header"). The key of a day is derived once; a signature is one hash and
 * one HMAC then: 4 µs, where @smithy/signature-v4 takes 27. What would be signed the same way again
 * within its second, as ranges of one object are, is not even signed: all that differs between such
 * requests goes outside of the signature.
 */
import { createHmac, hash } from 'node:crypto';
import { StoreError } from '../store/errors.ts';
import type { Credentials } from '../sts/credential-source.ts';

/** A header by its lower-case name. */
export type Header = readonly [name: string, value: string];

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';

export interface UnsignedRequest {
  readonly method: Method;
  /** `host` or `host:port`, as the URL has it. */
  readonly host: string;
  /** Percent-encoded as it is sent. */
  readonly path: string;
  /** Without `?`; names and values encoded, in the order of their names. */
  readonly query: string;
  /** What is signed besides host, date and token. */
  readonly headers: readonly Header[];
  /** Hex SHA-256 of the body, or `UNSIGNED-PAYLOAD`. */
  readonly payload: string;
}

/** SHA-256 of nothing. */
export const EMPTY_PAYLOAD = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** The body is guarded by TLS. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** Visible ASCII: anything else could end the header, or would be signed as other bytes than sent. */
const sendable = /^[\t\x20-\x7e]*$/;

/** Signatures of one second that are kept: programs read few objects at once. */
const MOST_KEPT = 64;

/** Signs requests with one set of credentials for one region. */
export class RequestSigner {
  readonly credentials: Credentials;
  readonly region: string;
  readonly #token: string;
  readonly #secret: string;
  /** Of the time signed last: it changes once a second. */
  #seconds = Number.NaN;
  #stamp = '';
  #day = '';
  #key: Buffer = Buffer.alloc(0);
  /** Heads of this second, signed, by what they are made of. */
  readonly #signed = new Map<string, string>();

  constructor(credentials: Credentials, region: string) {
    this.credentials = credentials;
    this.region = region;
    this.#token = credentials.sessionToken.reveal();
    this.#secret = credentials.secretAccessKey.reveal();
  }

  /**
   * The head of `request` as it is sent, up to and with its empty line; `unsigned` goes along
   * outside of the signature.
   *
   * @throws StoreError `unsupported` for a header that cannot be sent.
   */
  head(request: UnsignedRequest, unsigned: readonly Header[], atMs: number): string {
    this.#setTime(atMs);
    let head = this.#signedHead(request);
    for (const [name, value] of unsigned) head += `${name}: ${checked(name, value)}\r\n`;
    return `${head}\r\n`;
  }

  /** Request line and signed fields, with their signature. */
  #signedHead(request: UnsignedRequest): string {
    // Hardly another request is made twice in a second.
    if (request.method !== 'GET') return this.#sign(request);
    const name = nameOf(request);
    const known = this.#signed.get(name);
    if (known !== undefined) return known;
    const head = this.#sign(request);
    if (this.#signed.size === MOST_KEPT) this.#signed.clear();
    this.#signed.set(name, head);
    return head;
  }

  #sign(request: UnsignedRequest): string {
    const { method, path, query, payload } = request;
    let canonical = '';
    let sent = '';
    let names = '';
    for (const [name, value] of this.#headersOf(request)) {
      canonical += `${name}:${value}\n`;
      sent += `${name}: ${value}\r\n`;
      names += names === '' ? name : `;${name}`;
    }
    const whole = `${method}\n${path}\n${query}\n${canonical}\n${names}\n${payload}`;
    const scope = `${this.#day}/${this.region}/s3/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${this.#stamp}\n${scope}\n${hash('sha256', whole)}`;
    const signature = createHmac('sha256', this.#key).update(toSign).digest('hex');
    const credential = `${this.credentials.accessKeyId}/${scope}`;
    const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`;
    const target = query === '' ? path : `${path}?${query}`;
    return `${method} ${target} HTTP/1.1\r\n${sent}authorization: ${authorization}\r\n`;
  }

  /** All that are signed, in the order of their names. */
  #headersOf({ host, headers, payload }: UnsignedRequest): readonly Header[] {
    const all: Header[] = [
      ['host', host],
      ['x-amz-content-sha256', payload],
      ['x-amz-date', this.#stamp],
    ];
    if (this.#token !== '') all.push(['x-amz-security-token', this.#token]);
    for (const [name, value] of headers) all.push([name, sendableValue(name, value)]);
    return all.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #setTime(atMs: number): void {
    const seconds = Math.floor(atMs / 1000);
    if (seconds === this.#seconds) return;
    this.#seconds = seconds;
    this.#signed.clear();
    this.#stamp = new Date(seconds * 1000).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
    const day = this.#stamp.slice(0, 8);
    if (day === this.#day) return;
    this.#day = day;
    this.#key = [day, this.region, 's3', 'aws4_request'].reduce<Buffer>(
      (key, part) => createHmac('sha256', key).update(part).digest(),
      Buffer.from(`AWS4${this.#secret}`),
    );
  }
}

/** Tells requests apart that are signed differently; no part of it can hold a line end. */
function nameOf({ method, host, path, query, headers, payload }: UnsignedRequest): string {
  let name = `${method}\n${host}\n${path}\n${query}\n${payload}`;
  for (const [header, value] of headers) name += `\n${header}:${checked(header, value)}`;
  return name;
}

/** `value`, if it can be sent. */
function checked(name: string, value: string): string {
  if (sendable.test(value)) return value;
  throw new StoreError('unsupported', `send the header ${name}`, { code: 'no plain ASCII' });
}

/** Nothing that would be signed otherwise than it is. */
const plain = /^[\x21-\x7e]*$/;

/** `value` as it is signed: neighbouring spaces count as one. */
function sendableValue(name: string, value: string): string {
  if (plain.test(value)) return value;
  return checked(name, value).trim().replaceAll(/\s+/g, ' ');
}
