/** The security token service's door on the object server: a form posted to `/`. */
import type { IncomingMessage } from 'node:http';
import type { Reply } from './call.ts';
import { S3Error } from './errors.ts';
import type { SecurityTokenService } from './principal.ts';

/** Web identity tokens with many groups reach 200 kB; a form is one of those. */
const MAX_FORM_BYTES = 1024 * 1024;

/** Whether a request without bucket is for STS rather than for S3. */
export function isTokenRequest(request: IncomingMessage): boolean {
  return request.method === 'POST';
}

/** The form of the body, then of the query. @throws S3Error BadRequest */
export async function readForm(request: IncomingMessage, query: string): Promise<URLSearchParams> {
  const type = request.headers['content-type'] ?? '';
  const form = new URLSearchParams(query);
  if (!type.startsWith('application/x-www-form-urlencoded') && !form.has('Action')) {
    throw new S3Error('BadRequest', "An unsupported API call for method: POST at '/'");
  }
  const pieces: Buffer[] = [];
  let size = 0;
  const source = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const piece of source) {
    size += piece.length;
    if (size > MAX_FORM_BYTES) throw new S3Error('EntityTooLarge');
    pieces.push(piece);
  }
  const body = new URLSearchParams(Buffer.concat(pieces).toString());
  for (const [name, value] of body) form.append(name, value);
  return form;
}

/** The name that counters and faults know a form's action by. */
export function actionOf(form: URLSearchParams): string {
  const action = form.get('Action') ?? '';
  return /^[A-Za-z]{1,64}$/.test(action) ? action : 'SecurityToken';
}

export async function answerToken(
  sts: SecurityTokenService,
  form: URLSearchParams,
): Promise<Reply> {
  const { status, xml } = await sts.answer(form);
  return { status, headers: { 'content-type': 'text/xml' }, body: xml };
}
