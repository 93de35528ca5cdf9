/** Answers that a store gives in trouble, or somebody in front of it. */
import type { IncomingMessage } from 'node:http';
import { KiB } from '../../src/lib/bytes.ts';
import type { WayFault } from './fault.ts';

/** What a proxy or a captive portal shows. */
export const PAGE = '<!doctype html><html><head><title>Please wait</title></head><body>';

interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export function refusalOf(fault: WayFault): Refusal {
  if (fault.kind !== 'status') return document(200, 'InternalError');
  if (fault.code === 'page') return { status: fault.status, type: 'text/html', body: PAGE };
  return document(fault.status, fault.code);
}

function document(status: number, code: string): Refusal {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>planted</Message></Error>`;
  return { status, type: 'application/xml', body };
}

/** `bytes` with one bit of the middle one turned. */
export function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = Math.floor(copy.length / 2);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** Of a longer one much is passed on before its end tells; then a read must fail instead. */
const LONGEST_CHECKED_BYTES = 128 * KiB;

/**
 * Whether the headers vouch for the body: a part of an object has no sum in S3, and over plain
 * HTTP nothing tells that a byte of it is another.
 */
export function isWholeAndSummed({ statusCode, headers }: IncomingMessage): boolean {
  const bytes = Number(headers['content-length'] ?? 0);
  if (bytes === 0 || bytes > LONGEST_CHECKED_BYTES) return false;
  if (!/^"?[0-9a-f]{32}"?$/.test(headers.etag ?? '')) return false;
  if (statusCode === 200) return true;
  return headers['content-range'] === `bytes 0-${bytes - 1}/${bytes}`;
}
