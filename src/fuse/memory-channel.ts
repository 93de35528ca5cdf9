/**
 * A kernel made for tests: feeds a session with requests and checks its replies as
 * `fuse_dev_do_write` of the Linux kernel does. What a kernel would refuse, or a program would
 * never get, is kept in `violations`: a test expects it to be empty.
 */
import type { ReadBytes } from '../fs/filesystem.ts';
import { MiB } from '../lib/bytes.ts';
import { type ExpectedReply, expectedReply, KernelHoldings } from './memory-kernel.ts';
import {
  inHeader,
  initFlags,
  opcodes,
  outHeader,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR,
  sizes,
} from './protocol/abi.ts';
import { RequestCursor } from './protocol/cursor.ts';
import { ReplyWriter } from './protocol/reply.ts';
import type { Capabilities, Channel, ReceiveBatch } from './transport.ts';

const ARENA_BYTES = 2 * MiB;
const HEAD_BYTES = 4096;
/** Larger errors are refused by the kernel (`oh.error <= -512`). */
const ERRNO_MAX = 511;
/** Overwrites a batch once it was received, so that a view that was kept is seen. */
const STALE = 0xee;
const SILENT: ReadonlySet<number> = new Set([
  opcodes.FORGET,
  opcodes.BATCH_FORGET,
  opcodes.INTERRUPT,
  opcodes.NOTIFY_REPLY,
]);

export interface MemoryReply {
  readonly unique: number;
  /** 0, or a positive errno. */
  readonly errno: number;
  readonly body: Uint8Array;
}

export interface RequestFields {
  readonly inode?: number;
  readonly uid?: number;
  readonly body?: Uint8Array;
}

export class MemoryChannel implements Channel {
  readonly capabilities: Capabilities = { maxWriteBytes: MiB, notify: true, readdirplus: true };
  readonly head: Uint8Array = new Uint8Array(HEAD_BYTES);
  readonly ended: Promise<void>;
  readonly replies: MemoryReply[] = [];
  readonly notifications: Uint8Array[] = [];
  readonly violations: string[] = [];
  /** Requests that the next replies to are lost, as if their program had been killed. */
  readonly lost: Set<number>;
  /** References and handles that this kernel was given. */
  readonly holdings: KernelHoldings = new KernelHoldings();
  readonly #arena = new Uint8Array(ARENA_BYTES);
  readonly #expected = new Map<number, ExpectedReply>();
  #receive: ReceiveBatch | undefined;
  #nextUnique = 2;
  #end: () => void = () => undefined;

  constructor() {
    this.lost = new Set();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  start(receive: ReceiveBatch): void {
    this.#receive = receive;
  }

  /** Says INIT as a kernel of `minor` does. */
  init(minor: number = PROTOCOL_MINOR, flags: number = ~initFlags.INIT_EXT): number {
    const body = new Uint8Array(64);
    new Uint32Array(body.buffer).set([PROTOCOL_MAJOR, minor, 131072, flags]);
    return this.request(opcodes.INIT, { body });
  }

  /** Sends one request and returns its unique number. */
  request(opcode: number, fields: RequestFields = {}): number {
    const unique = this.#nextUnique;
    this.#nextUnique += 2;
    this.deliver([encodeRequest(opcode, unique, fields)]);
    return unique;
  }

  /** Sends INTERRUPT for `unique`. */
  interrupt(unique: number): void {
    const body = new Uint8Array(8);
    new ReplyWriter(body).u64(0, unique);
    this.deliver([encodeRequest(opcodes.INTERRUPT, unique + 1, { body })]);
  }

  /** Sends any bytes as one batch. An exception out of it is a violation. */
  deliver(messages: readonly Uint8Array[]): void {
    const bounds = new Uint32Array(2 * messages.length);
    let at = 0;
    for (const [index, message] of messages.entries()) {
      this.#arena.set(message, at);
      bounds.set([at, at + message.length], 2 * index);
      this.#expect(message);
      at = (at + message.length + 7) & ~7;
    }
    try {
      this.#receive?.(this.#arena, bounds, messages.length);
    } catch (error) {
      this.violations.push(`an exception left the session: ${String(error)}`);
    }
    this.#arena.fill(STALE, 0, at);
  }

  /** Gives every reference back, as a kernel that needs the memory does. */
  dropCaches(): void {
    const held = [...this.holdings.references];
    const body = new Uint8Array(sizes.batchForgetIn + held.length * sizes.forgetOne);
    const writer = new ReplyWriter(body);
    writer.u32(0, held.length);
    for (const [at, [inode, count]] of held.entries()) {
      writer.u64(sizes.batchForgetIn + at * sizes.forgetOne, inode);
      writer.u64(sizes.batchForgetIn + at * sizes.forgetOne + 8, count);
    }
    this.request(opcodes.BATCH_FORGET, { body });
  }

  /** Closes every file and directory, as at the end of all programs. */
  closeAll(): void {
    const bodyOf = (handle: number): Uint8Array => {
      const body = new Uint8Array(sizes.releaseIn);
      new ReplyWriter(body).u64(0, handle);
      return body;
    };
    const { files, directories } = this.holdings;
    for (const handle of [...files]) this.request(opcodes.RELEASE, { body: bodyOf(handle) });
    for (const handle of [...directories]) {
      this.request(opcodes.RELEASEDIR, { body: bodyOf(handle) });
    }
  }

  /** The reply to `unique`, if there is one yet. */
  replyTo(unique: number): MemoryReply | undefined {
    return this.replies.find((reply) => reply.unique === unique);
  }

  /** Requests that wait for their reply, by name. */
  get waiting(): number {
    return this.#expected.size;
  }

  reply(headBytes: number, payload?: ReadBytes): boolean {
    const pieces = payload === undefined ? [] : payload instanceof Uint8Array ? [payload] : payload;
    const message = Buffer.concat([this.head.subarray(0, headBytes), ...pieces]);
    const words = new Uint32Array(message.buffer, message.byteOffset, outHeader.bytes >>> 2);
    const errno = 0 - ((words[outHeader.error >>> 2] ?? 0) | 0);
    const unique = (words[2] ?? 0) + (words[3] ?? 0) * 2 ** 32;
    const expected = this.#expected.get(unique);
    const refusal = refusalOf(message, unique, errno, expected);
    if (refusal !== undefined || expected === undefined) {
      this.violations.push(refusal ?? 'a reply that nobody expects');
      throw new Error(refusal);
    }
    this.#expected.delete(unique);
    if (this.lost.has(unique)) return false;
    const body = message.subarray(outHeader.bytes);
    const wrong = errno === 0 ? this.holdings.replied(expected, body) : undefined;
    // The kernel takes such a reply and tells its program EIO.
    if (wrong !== undefined) this.violations.push(wrong);
    this.replies.push({ unique, errno, body });
    return true;
  }

  notify(pieces: readonly Uint8Array[]): Promise<void> {
    this.notifications.push(Buffer.concat(pieces));
    return Promise.resolve();
  }

  close(): void {
    this.#end();
  }

  #expect(message: Uint8Array): void {
    if (message.length < inHeader.bytes) return;
    const input = new RequestCursor();
    // A copy, because its fields are read as aligned words.
    input.moveTo(padded(message), 0, message.length);
    const opcode = input.header(inHeader.opcode);
    this.holdings.requested(opcode, input);
    if (SILENT.has(opcode)) return;
    const unique = input.header(inHeader.unique) + input.header(inHeader.unique + 4) * 2 ** 32;
    this.#expected.set(unique, expectedReply(opcode, input));
  }
}

function refusalOf(
  message: Uint8Array,
  unique: number,
  errno: number,
  expected: ExpectedReply | undefined,
): string | undefined {
  const length = new Uint32Array(message.buffer, message.byteOffset, 1)[0];
  if (length !== message.length) return `a reply of ${message.length} bytes says ${length ?? 0}`;
  if (errno < 0 || errno > ERRNO_MAX) return `a reply with errno ${errno}`;
  if (errno !== 0 && message.length !== outHeader.bytes) return 'an error with a body';
  if (expected === undefined) return `a reply to ${unique}, which waits for none`;
  const bodyBytes = message.length - outHeader.bytes;
  const [least, most] = expected.bytes ?? [0, -1];
  if (errno === 0 && (bodyBytes < least || bodyBytes > most)) {
    return `a reply to opcode ${expected.opcode} with a body of ${bodyBytes} bytes`;
  }
  return undefined;
}

function padded(message: Uint8Array): Uint8Array {
  const copy = new Uint8Array((message.length + 7) & ~7);
  copy.set(message);
  return copy;
}

/** A request as the kernel writes it. */
export function encodeRequest(
  opcode: number,
  unique: number,
  { inode = 1, uid = 0, body = new Uint8Array(0) }: RequestFields,
): Uint8Array {
  const message = new Uint8Array((inHeader.bytes + body.length + 7) & ~7);
  const writer = new ReplyWriter(message);
  writer.u32(inHeader.length, inHeader.bytes + body.length);
  writer.u32(inHeader.opcode, opcode);
  writer.u64(inHeader.unique, unique);
  writer.u64(inHeader.nodeid, inode);
  writer.u32(inHeader.uid, uid);
  message.set(body, inHeader.bytes);
  return message.subarray(0, inHeader.bytes + body.length);
}
