/** Puts answers on the wire, with what the planted faults make of them. */
import type { ServerResponse } from 'node:http';
import { raceAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Reply } from './call.ts';
import type { Fault, Faults } from './faults.ts';

export interface SendOptions {
  readonly response: ServerResponse;
  readonly fault: Fault | undefined;
  readonly faults: Faults;
  readonly clock: Clock;
  /** HEAD: headers only. */
  readonly headersOnly: boolean;
}

/** Resolves with the body bytes sent. Lets go of the reply's content. */
export async function sendReply(
  reply: Reply,
  options: SendOptions,
  signal: AbortSignal,
): Promise<number> {
  const { response, fault, faults } = options;
  const { body } = reply;
  try {
    response.writeHead(reply.status, withLength(reply, options.headersOnly));
    if (body === undefined || options.headersOnly) {
      response.end();
      return 0;
    }
    const bytes = typeof body === 'string' ? Buffer.from(body) : body.content.peek(body.extent);
    if (bytes !== undefined && fault === undefined && !faults.isPaced) {
      response.end(bytes);
      return bytes.length;
    }
    if (typeof body === 'string') {
      const pieces = onePiece(Buffer.from(body));
      return await sendPieces(pieces, Buffer.byteLength(body), options, signal);
    }
    const { content, extent } = body;
    const size = extent.end - extent.start;
    return await sendPieces(content.pieces(extent), size, options, signal);
  } finally {
    if (typeof body === 'object') body.content.release();
  }
}

/** Answers about a body (HEAD, 204, 304) say themselves how long it would be. */
function withLength(
  { status, headers, body }: Reply,
  headersOnly: boolean,
): Record<string, string | number> {
  if (typeof body === 'string') return { ...headers, 'content-length': Buffer.byteLength(body) };
  const isBare = body === undefined && !headersOnly && status !== 204 && status !== 304;
  return isBare ? { ...headers, 'content-length': 0 } : { ...headers };
}

// eslint-disable-next-line @typescript-eslint/require-await -- pieces come asynchronously
async function* onePiece(piece: Buffer): AsyncGenerator<Buffer> {
  yield piece;
}

/** One write is under way while the next piece is read; a piece's buffer is not reused earlier. */
async function sendPieces(
  pieces: AsyncIterable<Buffer>,
  size: number,
  { response, fault, faults, clock }: SendOptions,
  signal: AbortSignal,
): Promise<number> {
  // A body cut to nothing still has its headers.
  response.flushHeaders();
  let flushed: Promise<void> = Promise.resolve();
  let sent = 0;
  const faulty = fault === undefined ? pieces : spoil(pieces, size, fault, clock, signal);
  for await (const piece of faults.pace(faulty, signal)) {
    await raceAbort(flushed, signal);
    flushed = write(response, piece);
    sent += piece.length;
  }
  await raceAbort(flushed, signal);
  if (sent < size) response.destroy();
  else response.end();
  return sent;
}

async function write(response: ServerResponse, piece: Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    // A failed write closes the connection; the signal tells.
    response.write(piece, () => resolve());
  });
}

function spoil(
  pieces: AsyncIterable<Buffer>,
  size: number,
  fault: Fault,
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  switch (fault.kind) {
    case 'truncate':
      return splitAt(pieces, fault.afterBytes, () => 'end');
    case 'stall':
      if (fault.afterBytes === undefined) return pieces;
      return splitAt(pieces, fault.afterBytes, async () => {
        await clock.sleep(fault.ms, signal);
      });
    case 'corrupt':
      return corrupt(pieces, Math.floor(size / 2));
    case 'fail':
    case 'reset':
      return pieces;
  }
}

/** Does `meanwhile` after the first `bytes`; ends there if it says so. */
async function* splitAt(
  pieces: AsyncIterable<Buffer>,
  bytes: number,
  meanwhile: () => Promise<void> | 'end',
): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of pieces) {
    const cut = bytes - at;
    at += piece.length;
    if (cut < 0 || cut >= piece.length) {
      yield piece;
      continue;
    }
    if (cut > 0) yield piece.subarray(0, cut);
    if ((await meanwhile()) === 'end') return;
    yield piece.subarray(cut);
  }
}

/** Turns the byte at `wrongAt` over. */
async function* corrupt(pieces: AsyncIterable<Buffer>, wrongAt: number): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of pieces) {
    const offset = wrongAt - at;
    at += piece.length;
    const isIn = offset >= 0 && offset < piece.length;
    // Never the piece itself: it may be the object's own memory.
    const sent = isIn ? Buffer.from(piece) : piece;
    if (isIn) sent[offset] = (piece[offset] ?? 0) ^ 0xff;
    yield sent;
  }
}
