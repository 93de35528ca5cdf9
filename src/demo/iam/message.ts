/** Requests and replies of the playground's IAM as plain values, so that handlers are functions. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

export interface IamRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** `body` as a form; empty for other content types. */
  readonly form: URLSearchParams;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Registrations and forms are a few hundred bytes; more than this is a mistake. */
const MAX_BODY_BYTES = 1024 * 1024;

/** The whole body. @throws Error when it is over 1 MiB or the connection ends early. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new Error('request body over 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Splits an HTTP request target by hand: `//.well-known` is a path here, not a host. */
export function splitTarget(target: string): { path: string; query: URLSearchParams } {
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: new URLSearchParams() };
  return { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

export async function readRequest(request: IncomingMessage): Promise<IamRequest> {
  const body = await readBody(request);
  const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  return {
    method: request.method ?? 'GET',
    ...splitTarget(request.url ?? '/'),
    headers: request.headers,
    body,
    form: new URLSearchParams(isForm === true ? body : ''),
  };
}

export function writeReply(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { ...reply.headers });
  response.end(reply.body ?? '');
}

export function jsonReply(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
    body: JSON.stringify(value),
  };
}

export function htmlReply(
  status: number,
  html: string,
  headers: Record<string, string> = {},
): Reply {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', ...headers },
    body: html,
  };
}

export function redirectReply(location: string, headers: Record<string, string> = {}): Reply {
  return { status: 302, headers: { location, ...headers } };
}

export const emptyReply = (status: number): Reply => ({ status });

/** The token of an `Authorization: Bearer` header. */
export function bearerToken(headers: IncomingHttpHeaders): string | undefined {
  return /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
}

/** The value of one cookie of the request. */
export function cookie(headers: IncomingHttpHeaders, name: string): string | undefined {
  for (const pair of (headers.cookie ?? '').split(/; */)) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals) === name) return pair.slice(equals + 1);
  }
  return undefined;
}

/** Words of a space-separated list, as OAuth writes scopes and audiences. */
export function words(text: string | null | undefined): string[] {
  return (text ?? '').split(' ').filter((word) => word !== '');
}

/** The same of a parsed parameter that may be missing, or given several times. */
export function wordsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(wordsOf);
  return words(typeof value === 'string' ? value : '');
}
