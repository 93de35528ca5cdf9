/** Whatever a server answers, and however its bytes are cut: a read gives the truth or an error. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import type { Network } from '../../../src/net/network.ts';
import { createS3Stores } from '../../../src/s3/s3-object-stores.ts';
import { StoreError } from '../../../src/store/errors.ts';
import type { ReadSink } from '../../../src/store/object-store.ts';
import { type FedSocket, FedSockets } from '../../fixtures/fed-socket.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { patternBytes } from '../../fixtures/object-store-contract.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';

const forever = new AbortController().signal;
const etag = '"version-1"';
const truth = patternBytes(6000);
const wrong = patternBytes(6000, 99);

/** Compares every byte with the truth as it goes on. */
class ComparingSink implements ReadSink {
  at: number;
  readonly #roomBytes: number;
  #room = new Uint8Array(0);

  constructor(start: number, roomBytes: number) {
    this.at = start;
    this.#roomBytes = roomBytes;
  }

  room(): Uint8Array {
    // As a cache: the same memory until it is filled.
    if (this.#room.byteLength === 0) this.#room = new Uint8Array(this.#roomBytes);
    return this.#room;
  }

  filled(bytes: number): void {
    const came = Buffer.from(this.#room.subarray(0, bytes));
    expect(came.equals(truth.subarray(this.at, this.at + bytes))).toBe(true);
    this.at += bytes;
    this.#room = this.#room.subarray(bytes);
  }
}

interface Asked {
  readonly start: number;
  readonly end: number;
}

/** One way to answer; what follows the answer on the wire is the second text. */
type Way = (
  asked: Asked,
  cut: number,
) => { readonly text: string; readonly then?: 'end' | 'error' };

const latin = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function headOf({ start, end }: Asked, framing: string, version = etag): string {
  const range = `bytes ${start}-${end - 1}/${truth.byteLength}`;
  return `HTTP/1.1 206 x\r\nETag: ${version}\r\nContent-Range: ${range}\r\n${framing}\r\n\r\n`;
}

const rightOf = (asked: Asked): string =>
  headOf(asked, `Content-Length: ${asked.end - asked.start}`) +
  latin(truth.subarray(asked.start, asked.end));

function chunksOf(bytes: Uint8Array, size: number): string {
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += size) {
    const chunk = bytes.subarray(at, at + size);
    text += `${chunk.byteLength.toString(16)}\r\n${latin(chunk)}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

const chunked = 'Transfer-Encoding: chunked';
const lies = (asked: Asked, start: number, end: number): string =>
  headOf({ start, end }, `Content-Length: ${end - start}`) +
  latin(wrong.subarray(asked.start, asked.start + end - start));

const ways: Readonly<Record<string, Way>> = {
  right: (asked) => ({ text: rightOf(asked) }),
  'right in chunks': (asked, cut) => ({
    text: headOf(asked, chunked) + chunksOf(truth.subarray(asked.start, asked.end), cut + 1),
  }),
  'right after interim answers': (asked) => ({
    text: `HTTP/1.1 100 Continue\r\n\r\n${rightOf(asked)}`,
  }),
  'right, then closed': (asked) => ({
    text: rightOf(asked).replace('\r\n', '\r\nConnection: close\r\n'),
    then: 'end',
  }),
  'right, with another answer behind it': (asked) => ({
    text: rightOf(asked) + lies(asked, asked.start, asked.end),
  }),
  'cut somewhere': (asked, cut) => ({ text: rightOf(asked).slice(0, cut), then: 'end' }),
  'reset somewhere': (asked, cut) => ({ text: rightOf(asked).slice(0, cut), then: 'error' }),
  'fewer bytes in chunks': (asked) => ({
    text: headOf(asked, chunked) + chunksOf(truth.subarray(asked.start, asked.end - 1), 700),
  }),
  'more bytes in chunks': (asked) => ({
    text: headOf(asked, chunked) + chunksOf(truth.subarray(asked.start, asked.end + 1), 700),
  }),
  'an earlier range': (asked) => ({ text: lies(asked, Math.max(0, asked.start - 1), asked.end) }),
  'an earlier range in chunks': (asked) => ({
    text:
      headOf({ start: Math.max(0, asked.start - 1), end: asked.end }, chunked) +
      chunksOf((asked.start === 0 ? truth : wrong).subarray(asked.start, asked.end), 700),
  }),
  'a later range': (asked) => ({ text: lies(asked, asked.start + 1, asked.end + 1) }),
  'a body that starts a byte late': (asked) => ({
    text:
      headOf(asked, `Content-Length: ${asked.end - asked.start - 1}`) +
      latin(truth.subarray(asked.start + 1, asked.end)),
  }),
  'a shorter range': (asked) => ({ text: lies(asked, asked.start, asked.end - 1) }),
  'another version': (asked) => ({
    text: headOf(asked, 'Content-Length: 1', '"other"') + latin(wrong.subarray(0, 1)),
  }),
  'another object as a whole': () => ({
    text: `HTTP/1.1 200 OK\r\nETag: ${etag}\r\nContent-Length: 50\r\n\r\n${latin(wrong.subarray(0, 50))}`,
  }),
  'two lengths': (asked) => ({
    text: headOf(asked, `${chunked}\r\nContent-Length: 5`) + chunksOf(wrong.subarray(0, 5), 5),
  }),
  'no length': (asked) => ({
    text: headOf(asked, 'X: y') + latin(wrong.subarray(0, 9)),
    then: 'end',
  }),
  busy: () => ({ text: 'HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n' }),
  'no HTTP': () => ({ text: 'SSH-2.0-OpenSSH\r\n\r\n' }),
};

/** A network whose server answers each request as `next` says, in pieces of these lengths. */
function hostileNetwork(
  next: () => { way: string; cut: number; pieces: readonly number[] },
): Network {
  const sockets = new FedSockets();
  const serve = (socket: FedSocket, text: string): void => {
    const match = /\r\nrange: bytes=(\d+)-(\d+)\r\n/.exec(text);
    const [start, last] = [Number(match?.[1]), Number(match?.[2])];
    const { way, cut, pieces } = next();
    const asked = { start, end: Math.min(last + 1, truth.byteLength) };
    const answer = ways[way]?.(asked, cut) ?? { text: '' };
    const bytes = Buffer.from(answer.text, 'latin1');
    let at = 0;
    for (const piece of [...pieces, bytes.byteLength]) {
      socket.feed(bytes.subarray(at, at + piece));
      at += piece;
    }
    if (answer.then === 'end') socket.emit('end');
    if (answer.then === 'error') {
      socket.emit('error', Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    }
  };
  return {
    ...plainNetwork,
    connect: (_, reading) => {
      const socket = sockets.connect(reading);
      const fed = sockets.last;
      fed.on('written', (text: string) => setImmediate(serve, fed, text));
      return socket;
    },
  };
}

describe('a read from a hostile server', () => {
  const step = fc.record({
    way: fc.constantFrom(...Object.keys(ways)),
    cut: fc.nat(7000),
    pieces: fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 20, size: 'max' }),
  });

  it('gives the truth or an error, in whatever order it does its worst', async () => {
    const lease = {
      accessKeyId: 'ID',
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret('token'),
      expiresAtMs: Number.MAX_SAFE_INTEGER,
    };
    const current = async (): Promise<typeof lease> => await Promise.resolve(lease);
    const outcomes = { done: 0, failed: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 12, size: 'max' }),
        fc.array(fc.tuple(fc.nat(6100), fc.integer({ min: 1, max: 6000 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.integer({ min: 1, max: 8000 }),
        async (steps, reads, roomBytes) => {
          const script = [...steps].values();
          const calm = { way: 'right', cut: 0, pieces: [] };
          const network = hostileNetwork(() => script.next().value ?? calm);
          await using stores = createS3Stores({
            ...{ endpoint: 'http://127.0.0.1:1', region: 'us-east-1', network, log: silentLog },
            credentials: { credentials: current, renew: current },
            clock: new InstantClock(),
            random: () => 0.5,
          });
          const store = stores.open('bucket');
          for (const [from, bytes] of reads) {
            const start = Math.min(from, truth.byteLength - 1);
            const sink = new ComparingSink(start, roomBytes);
            const extent = { start, end: start + bytes };
            const work = store.read('key', extent, etag, sink, forever);
            const error = await work.then(
              () => undefined,
              (thrown: unknown) => thrown,
            );
            if (error === undefined) {
              outcomes.done += 1;
              expect(sink.at).toBe(Math.min(extent.end, truth.byteLength));
            } else {
              outcomes.failed += 1;
              expect(error).toBeInstanceOf(StoreError);
              expect(['unavailable', 'precondition-failed', 'unreachable']).toContain(
                (error as StoreError).kind,
              );
            }
          }
        },
      ),
      { numRuns: 400 },
    );
    // Most go well in the end, or it would prove little.
    expect(outcomes.done).toBeGreaterThan(outcomes.failed);
  });
});
