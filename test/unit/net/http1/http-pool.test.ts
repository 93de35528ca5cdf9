import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AnswerHead } from '../../../../src/net/http1/answer-head.ts';
import type { Receiver } from '../../../../src/net/http1/http-exchange.ts';
import { HttpPool } from '../../../../src/net/http1/http-pool.ts';
import { FedSockets } from '../../../fixtures/fed-socket.ts';
import { patternBytes } from '../../../fixtures/object-store-contract.ts';

const patience = { connectMs: 3000, quietMs: 1000, silenceMs: 10_000 };
const request = { head: 'GET / HTTP/1.1\r\n\r\n', repeatable: true };

/** Takes a body in rooms of a few bytes each. */
class RoomySink implements Receiver {
  readonly heads: AnswerHead[] = [];
  readonly rooms: Uint8Array[] = [];
  quiets = 0;
  fails: Error | undefined;
  readonly #parts: Buffer[] = [];
  readonly #roomBytes: number;

  constructor(roomBytes = 1000) {
    this.#roomBytes = roomBytes;
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString('latin1');
  }

  begin(head: AnswerHead): this {
    this.heads.push(head);
    if (this.fails !== undefined) throw this.fails;
    return this;
  }

  quiet(): void {
    this.quiets += 1;
  }

  room(): Uint8Array {
    const room = Buffer.alloc(this.#roomBytes);
    this.rooms.push(room);
    return room;
  }

  filled(bytes: number): void {
    this.#parts.push(Buffer.from((this.rooms.at(-1) ?? Buffer.alloc(0)).subarray(0, bytes)));
  }
}

function withLength(body: string, extra = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${extra}\r\n${body}`;
}

/** Chunks of these lengths, as far as the body goes, and one with the rest. */
function chunked(body: string, lengths: readonly number[]): string {
  let at = 0;
  let text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  for (const length of [...lengths, body.length]) {
    const chunk = body.slice(at, at + length);
    at += chunk.length;
    if (chunk !== '') text += `${chunk.length.toString(16)};x=y\r\n${chunk}\r\n`;
  }
  return `${text}0\r\ntrailer: t\r\n\r\n`;
}

let sockets: FedSockets;
let pool: HttpPool;

beforeEach(() => {
  sockets = new FedSockets();
  pool = new HttpPool(sockets.connect, 4);
});

/** How an exchange ended: 'done', or the code or name of what it failed with. */
async function endOf(done: Promise<void>): Promise<string> {
  return await done.then(
    () => 'done',
    (error: unknown) => {
      const { code, name } = error as { code?: string; name: string };
      return code ?? name;
    },
  );
}

describe('a body', () => {
  const body = patternBytes(3000).toString('latin1');

  it('is what was sent, wherever the bytes are split and however they are framed', async () => {
    const numbers = fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 40, size: 'max' });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(3000),
        numbers,
        fc.option(numbers, { nil: undefined }),
        fc.integer({ min: 1, max: 1500 }),
        fc.nat(3),
        async (bytes, splits, chunks, roomBytes, interims) => {
          const kept = new FedSockets();
          const ours = new HttpPool(kept.connect, 1);
          const text = body.slice(0, bytes);
          const interim = 'HTTP/1.1 103 Early\r\nLink: x\r\n\r\n'.repeat(interims);
          const answer = chunks === undefined ? withLength(text) : chunked(text, chunks);
          const whole = Buffer.from(interim + answer, 'latin1');
          for (let times = 0; times < 2; times += 1) {
            const sink = new RoomySink(roomBytes);
            const { ended: done } = ours.exchange(request, sink, patience);
            await kept.settle();
            let at = 0;
            for (const split of [...splits, whole.byteLength]) {
              kept.last.feed(whole.subarray(at, at + split));
              at += split;
            }
            expect(await endOf(done)).toBe('done');
            expect(sink.text).toBe(text);
            expect(sink.heads).toHaveLength(1);
          }
          expect(kept.all).toHaveLength(1);
        },
      ),
    );
  });

  it('lands in the room of its sink without a copy, but for what came with the head', async () => {
    const sink = new RoomySink(100_000);
    const { ended: done } = pool.exchange(request, sink, patience);
    const text = patternBytes(50_000).toString('latin1');
    const whole = Buffer.from(withLength(text), 'latin1');
    sockets.last.feed(whole.subarray(0, 100));
    sockets.last.feed(whole.subarray(100));
    await done;
    expect(sink.text).toBe(text);
    expect(sink.rooms.length).toBeLessThan(5);
  });

  it.each([
    ['a size that is none', 'zz\r\n'],
    ['a negative size', '-1\r\n'],
    ['a size too large for a number', 'fffffffffffffff\r\n'],
    ['a chunk longer than its size', '2\r\nabc\r\n'],
    ['a line feed alone', '2\nab\r\n'],
    ['a size line without an end', '1'.repeat(2000)],
    ['endless trailers', `0\r\n${'a: b\r\n'.repeat(100)}`],
  ])('in chunks with %s is no answer', async (_, chunks) => {
    const sink = new RoomySink();
    const { ended: done } = pool.exchange(request, sink, patience);
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    sockets.last.feed(Buffer.from(head + chunks));
    expect(await endOf(done)).toBe('BadAnswerError');
    expect(sockets.last.destroyed).toBe(true);
  });

  it('without a length goes on to the end of the connection', async () => {
    const sink = new RoomySink();
    const { ended: done } = pool.exchange(request, sink, patience);
    sockets.last.feed(Buffer.from('HTTP/1.1 502 No\r\n\r\nsorry'));
    sockets.last.emit('end');
    expect(await endOf(done)).toBe('done');
    expect(sink.text).toBe('sorry');
    expect(sockets.last.destroyed).toBe(true);
  });

  it('that ends too early fails the exchange', async () => {
    const { ended: done } = pool.exchange(request, new RoomySink(), patience);
    sockets.last.feed(Buffer.from(withLength('hello').slice(0, -1)));
    sockets.last.emit('end');
    expect(await endOf(done)).toBe('ECONNRESET');
  });
});

describe('bytes that belong to no answer', () => {
  it('behind a body end the connection, and never become part of another answer', async () => {
    const forged = withLength('forged');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.constant(forged), fc.string({ minLength: 1 })),
        fc.boolean(),
        fc.boolean(),
        async (garbage, inChunks, splitBehindBody) => {
          const kept = new FedSockets();
          const ours = new HttpPool(kept.connect, 2);
          const first = new RoomySink();
          const one = ours.exchange(request, first, patience);
          const right = inChunks ? chunked('first', [2]) : withLength('first');
          // The next request is made as soon as the first is answered, as a reader would.
          const second = new RoomySink();
          const other = one.ended.then(
            async () => await ours.exchange(request, second, patience).ended,
          );
          const [socket] = kept.all;
          if (splitBehindBody) {
            socket?.feed(Buffer.from(right));
            // Between two reads Node lets promises run, and with them whoever waited.
            for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
            socket?.feed(Buffer.from(garbage));
          } else {
            // The head alone first: what follows may be read into the room of the body.
            const head = right.indexOf('\r\n\r\n') + 4;
            socket?.feed(Buffer.from(right.slice(0, head)));
            socket?.feed(Buffer.from(right.slice(head) + garbage));
          }
          await kept.settle();
          expect(first.text).toBe('first');
          expect(kept.all).toHaveLength(2);
          expect(kept.all[0]?.destroyed).toBe(true);
          kept.last.feed(Buffer.from(withLength('second')));
          await other;
          expect(second.text).toBe('second');
        },
      ),
    );
  });

  it('on an idle connection end it', async () => {
    const { ended: done } = pool.exchange(request, new RoomySink(), patience);
    const [first] = sockets.all;
    first?.feed(Buffer.from(withLength('')));
    await done;
    await sockets.settle();
    first?.feed(Buffer.from(withLength('forged')));
    expect(first?.destroyed).toBe(true);
    const sink = new RoomySink();
    const next = pool.exchange(request, sink, patience);
    sockets.last.feed(Buffer.from(withLength('right')));
    await next.ended;
    expect(sink.text).toBe('right');
  });

  it.each([
    ['an endless head', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(20_000)}`],
    ['a line without an end', 'x'.repeat(100_000)],
    ['interim answers without an end', 'HTTP/1.1 100 x\r\n\r\n'.repeat(100)],
    ['a change of protocol', 'HTTP/1.1 101 x\r\n\r\n'],
  ])('such as %s are no answer', async (_, text) => {
    const { ended: done } = pool.exchange(request, new RoomySink(), patience);
    sockets.last.feed(Buffer.from(text));
    expect(await endOf(done)).toBe('BadAnswerError');
  });

  it('takes a head of 60 KiB', async () => {
    const { ended: done } = pool.exchange(request, new RoomySink(), patience);
    const long = `x: ${'y'.repeat(60_000)}\r\n`;
    sockets.last.feed(Buffer.from(withLength('a', long)));
    expect(await endOf(done)).toBe('done');
  });
});

describe('a connection', () => {
  const answer = async (text = withLength('')): Promise<void> => {
    sockets.last.feed(Buffer.from(text));
    await sockets.settle();
  };

  it('is used again, unless the server says that it closes it', async () => {
    for (const extra of ['', '', 'Connection: close\r\n', '']) {
      const { ended: done } = pool.exchange(request, new RoomySink(), patience);
      await answer(withLength('a', extra));
      await done;
    }
    expect(sockets.all).toHaveLength(2);
    expect(sockets.all[0]?.written).toHaveLength(3);
  });

  it.each(['end', 'error'] as const)(
    'that turns out to be closed (%s) is replaced at once, and the request is no failure',
    async (how) => {
      const first = pool.exchange(request, new RoomySink(), patience);
      await answer();
      await first.ended;
      const { ended: done } = pool.exchange(request, new RoomySink(), patience);
      const error = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
      sockets.last.emit(how, how === 'error' ? error : undefined);
      expect(sockets.all).toHaveLength(2);
      await answer();
      expect(await endOf(done)).toBe('done');
    },
  );

  it('that breaks off once more, when it was new, or when the request is done once only, is a failure', async () => {
    const repeated = [true, true, false];
    for (const [nth, repeatable] of repeated.entries()) {
      const first = pool.exchange(request, new RoomySink(), patience);
      if (nth !== 1) {
        await answer();
        await first.ended;
      }
      const { ended: done } =
        nth === 1 ? first : pool.exchange({ ...request, repeatable }, new RoomySink(), patience);
      sockets.last.emit('end');
      if (nth === 0) sockets.last.emit('end');
      expect(await endOf(done)).toBe('ECONNRESET');
    }
  });

  it('that was closed while idle is not used', async () => {
    const first = pool.exchange(request, new RoomySink(), patience);
    await answer();
    await first.ended;
    sockets.last.emit('end');
    const { ended: done } = pool.exchange(request, new RoomySink(), patience);
    expect(sockets.all).toHaveLength(2);
    await answer();
    await done;
  });

  it('more than allowed is not opened: the request waits its turn', async () => {
    const pending = Array.from({ length: 7 }, () =>
      pool.exchange(request, new RoomySink(), patience),
    );
    expect(sockets.all).toHaveLength(4);
    for (const socket of [...sockets.all]) socket.feed(Buffer.from(withLength('')));
    await sockets.settle();
    for (const socket of [...sockets.all]) {
      if (socket.written.length > 1) socket.feed(Buffer.from(withLength('')));
    }
    expect(await Promise.all(pending.map(async ({ ended }) => await endOf(ended)))).toEqual(
      Array.from({ length: 7 }, () => 'done'),
    );
    expect(sockets.all).toHaveLength(4);
  });

  it('that ends makes room for a request that waits', async () => {
    const pending = Array.from({ length: 5 }, () =>
      pool.exchange(request, new RoomySink(), patience),
    );
    sockets.all[0]?.emit('error', Object.assign(new Error('x'), { code: 'ECONNREFUSED' }));
    expect(await endOf(pending[0]?.ended ?? Promise.resolve())).toBe('ECONNREFUSED');
    await sockets.settle();
    expect(sockets.all).toHaveLength(5);
    await answer();
    expect(await endOf(pending[4]?.ended ?? Promise.resolve())).toBe('done');
    pool.destroy();
    for (const { ended } of pending.slice(1, 4)) expect(await endOf(ended)).toBe('ECONNRESET');
  });

  it('that cannot be made fails the request with the reason', async () => {
    const reason = new Error('no proxy');
    const later = new HttpPool(async () => await Promise.reject(reason), 1);
    const { ended: done } = later.exchange(request, new RoomySink(), patience);
    expect(await done.catch((error: unknown) => error)).toBe(reason);
  });

  it('that is dropped with the network fails its exchange, and idle ones go too', async () => {
    const idle = pool.exchange(request, new RoomySink(), patience);
    await answer();
    await idle.ended;
    const busy = pool.exchange(request, new RoomySink(), patience);
    const another = pool.exchange(request, new RoomySink(), patience);
    sockets.last.feed(Buffer.from('HTTP/1.1'));
    pool.dropDead((socket) => socket === sockets.last.socket);
    expect(await endOf(another.ended)).toBe('ECONNRESET');
    expect(sockets.all[0]?.destroyed).toBe(false);
    sockets.all[0]?.feed(Buffer.from(withLength('')));
    expect(await endOf(busy.ended)).toBe('done');
    await sockets.settle();
    pool.dropIdle();
    expect(sockets.all.every(({ destroyed }) => destroyed)).toBe(true);
  });
});

describe('an exchange that is cancelled', () => {
  it.each([
    ['before a byte came', ''],
    ['within the head', 'HTTP/1.1 200 OK\r\nConte'],
    ['within the body', withLength('hello').slice(0, -2)],
  ])('%s leaves the sink alone from then on', async (_, come) => {
    const sink = new RoomySink();
    const exchange = pool.exchange(request, sink, patience);
    sockets.last.feed(Buffer.from(come));
    const before = sink.text;
    const reason = new Error('EINTR');
    exchange.cancel(reason);
    expect(await exchange.ended.catch((error: unknown) => error)).toBe(reason);
    expect(sockets.last.destroyed).toBe(true);
    const rooms = sink.rooms.length;
    sockets.last.destroyed = false;
    sockets.last.feed(Buffer.from('more of it'));
    expect(sink.text).toBe(before);
    expect(sink.rooms.length).toBe(rooms);
  });

  it('while it waits for a connection never gets one', async () => {
    const pending = Array.from({ length: 5 }, () =>
      pool.exchange(request, new RoomySink(), patience),
    );
    pending[4]?.cancel(new Error('EINTR'));
    expect(await endOf(pending[4]?.ended ?? Promise.resolve())).toBe('Error');
    for (const socket of sockets.all) socket.feed(Buffer.from(withLength('')));
    await Promise.all(pending.slice(0, 4).map(async ({ ended }) => await ended));
    await sockets.settle();
    expect(sockets.all.map(({ written }) => written.length)).toEqual([1, 1, 1, 1]);
  });
});

describe('a silence', () => {
  it('is told once it is long, and again only after something came; the longest ends the exchange', async () => {
    const sink = new RoomySink();
    const { ended: done } = pool.exchange(request, sink, patience);
    const { last } = sockets;
    expect(last.timerMs).toBe(1000);
    last.emit('timeout');
    expect([sink.quiets, last.timerMs]).toEqual([1, 9000]);
    last.feed(Buffer.from(withLength('hello').slice(0, -2)));
    expect([sink.quiets, last.timerMs]).toEqual([1, 1000]);
    last.emit('timeout');
    expect(sink.quiets).toBe(2);
    last.emit('timeout');
    expect(await endOf(done)).toBe('ETIMEDOUT');
    expect(last.destroyed).toBe(true);
  });

  it('before there is a connection is borne for as long as that may take', async () => {
    const patient = { connectMs: 500, quietMs: 300, silenceMs: 10_000 };
    const sink = new RoomySink();
    sockets.connecting = true;
    const { ended: done } = pool.exchange(request, sink, patient);
    expect(sockets.last.timerMs).toBe(300);
    sockets.last.emit('timeout');
    expect([sink.quiets, sockets.last.timerMs]).toEqual([1, 200]);
    sockets.last.emit('timeout');
    expect(await endOf(done)).toBe('ETIMEDOUT');
  });

  it('of an idle connection means nothing', async () => {
    const { ended: done } = pool.exchange(request, new RoomySink(), patience);
    sockets.last.feed(Buffer.from(withLength('')));
    await done;
    await sockets.settle();
    sockets.last.emit('timeout');
    expect(sockets.last.destroyed).toBe(false);
  });
});

describe('a receiver', () => {
  it('that refuses the head ends the exchange with its reason, and the connection', async () => {
    const sink = new RoomySink();
    sink.fails = new RangeError('not mine');
    const { ended: done } = pool.exchange(request, sink, patience);
    sockets.last.feed(Buffer.from(withLength('hello')));
    expect(await endOf(done)).toBe('RangeError');
    expect(sink.text).toBe('');
    expect(sockets.last.destroyed).toBe(true);
  });
});
