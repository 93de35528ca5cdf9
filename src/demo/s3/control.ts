/**
 * Faults, counters and the foreign client over HTTP, for tests in another process:
 * `POST /_playground/s3/NAME` with a JSON array of the arguments answers `{"value": ...}`.
 * No bucket can be called `_playground`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Counters } from './counters.ts';
import type { Faults } from './faults.ts';
import type { ForeignClient } from './foreign-client.ts';

const base = '/_playground/s3/';

export interface Controlled {
  readonly faults: Faults;
  readonly counters: Counters;
  readonly foreign: ForeignClient;
  expireNow(): void;
}

/** The settings of `Faults` that are plain numbers; null stands for no limit, as JSON has no Infinity. */
const settings = ['latencyMs', 'bytesPerSecond', 'requestsPerSecond'] as const;

/** Methods by the object they are on: what is not listed cannot be called. */
const faultMethods = [
  'failNext',
  'truncateNext',
  'resetNext',
  'stallNext',
  'corruptNext',
  'clear',
] as const;
const counterMethods = ['snapshot', 'reset'] as const;
const foreignMethods = [
  'createBucket',
  'objects',
  'uploads',
  'head',
  'putObject',
  'deleteObject',
  'addSyntheticBucket',
] as const;

/** Largest call: an object to put, in JSON. */
const MAX_CALL_BYTES = 16 * 1024 * 1024;

export function isControlRequest(request: IncomingMessage): boolean {
  return request.url?.startsWith(base) === true;
}

export async function answerControl(
  controlled: Controlled,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let [status, answer]: [number, unknown] = [200, undefined];
  try {
    const name = (request.url ?? '').slice(base.length);
    answer = { value: await call(controlled, name, await readArguments(request)) };
  } catch (error) {
    status = error instanceof UnknownCall ? 404 : 400;
    answer = { error: error instanceof Error ? error.message : 'failed' };
  }
  const text = JSON.stringify(answer);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

class UnknownCall extends Error {}

async function readArguments(request: IncomingMessage): Promise<unknown[]> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_CALL_BYTES) throw new Error('the call is too large');
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString();
  const parsed: unknown = text === '' ? [] : JSON.parse(text);
  return Array.isArray(parsed) ? (parsed as unknown[]) : [parsed];
}

async function call(controlled: Controlled, name: string, args: unknown[]): Promise<unknown> {
  const { faults, counters, foreign } = controlled;
  if (name === 'set') return set(faults, args[0]);
  if (name === 'expireNow') {
    controlled.expireNow();
    return null;
  }
  if (name === 'getObject') {
    const bytes = await foreign.getObject(String(args[0]), String(args[1]));
    return bytes?.toString('base64') ?? null;
  }
  const owners: readonly [object, readonly string[]][] = [
    [faults, faultMethods],
    [counters, counterMethods],
    [foreign, foreignMethods],
  ];
  const owner = owners.find(([, methods]) => methods.includes(name))?.[0];
  if (owner === undefined) throw new UnknownCall(`there is no call ${name}`);
  const method = (owner as Record<string, (...given: unknown[]) => unknown>)[name];
  return method?.apply(owner, args) ?? null;
}

function set(faults: Faults, values: unknown): null {
  if (typeof values !== 'object' || values === null) throw new Error('set needs an object');
  const given = values as Record<string, unknown>;
  for (const name of settings) {
    const value = given[name];
    if (typeof value === 'number' && value >= 0) faults[name] = value;
    else if (value === null) faults[name] = name === 'latencyMs' ? 0 : Number.POSITIVE_INFINITY;
  }
  return null;
}
