/**
 * `upload-process.js STORE KEY CONNECTIONS < BYTES`: what comes through a pipe, in parts of 8 MiB,
 * so many at a time, by Node's own HTTP client. Ends when the object is there. STORE is JSON.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { MiB } from '../../src/lib/bytes.ts';
import { type RawStore, urlOf } from './raw-client.ts';

const PART_BYTES = 8 * MiB;

const [where = '{}', key = '', connections = '1'] = process.argv.slice(2);
const parsed = JSON.parse(where) as Omit<RawStore, 'endpoint'> & { readonly endpoint: string };
const store: RawStore = { ...parsed, endpoint: new URL(parsed.endpoint) };
const isSecure = store.endpoint.protocol === 'https:';
const pool = { keepAlive: true, maxSockets: Number(connections) };
const agent = isSecure ? new TlsAgent(pool) : new Agent(pool);

interface Answer {
  readonly etag: string;
  readonly text: string;
}

async function ask(
  method: 'PUT' | 'POST',
  query: Readonly<Record<string, string>>,
  body: Buffer | string,
): Promise<Answer> {
  const asked = (isSecure ? requestTls : request)(urlOf(store, key, query, method), {
    ...{ method, agent, headers: { 'content-length': Buffer.byteLength(body) } },
  });
  asked.end(body);
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  if (response.statusCode !== 200) throw new Error(`${method}: ${response.statusCode} ${text}`);
  return { etag: response.headers.etag ?? '', text };
}

const { text: begun } = await ask('POST', { uploads: '' }, '');
const uploadId = /<UploadId>([^<]+)</.exec(begun)?.[1] ?? '';
const etags: string[] = [];
/** Memory of parts that are not on their way. */
const free = Array.from({ length: Number(connections) }, () => Buffer.allocUnsafeSlow(PART_BYTES));
const sending = new Set<Promise<void>>();

async function send(part: Buffer<ArrayBuffer>, bytes: number): Promise<void> {
  const nth = etags.push('');
  const query = { partNumber: String(nth), uploadId };
  etags[nth - 1] = (await ask('PUT', query, part.subarray(0, bytes))).etag;
  free.push(part);
}

let part = Buffer.allocUnsafeSlow(PART_BYTES);
let filled = 0;

async function sendFilled(): Promise<void> {
  const sent = send(part, filled).finally(() => sending.delete(sent));
  sending.add(sent);
  while (free.length === 0) await Promise.race(sending);
  part = free.pop() ?? part;
  filled = 0;
}

for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
  for (let at = 0; at < chunk.length; ) {
    const copied = chunk.copy(part, filled, at);
    at += copied;
    filled += copied;
    if (filled === PART_BYTES) await sendFilled();
  }
}
if (filled > 0) await sendFilled();
await Promise.all(sending);
const parts = etags.map(
  (etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
);
const document = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
const { text } = await ask('POST', { uploadId }, document);
if (!text.includes('CompleteMultipartUploadResult')) throw new Error(text);
agent.destroy();
