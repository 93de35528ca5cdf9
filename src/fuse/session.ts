/**
 * One kernel connection: reads requests from a `Channel`, has the `FileSystem` answer them, writes
 * replies. Entry of the folder `fuse/`.
 *
 * Invariants
 * - Each request gets exactly one reply, FORGETs and INTERRUPTs none, whatever the file system or
 *   the bytes of the request do. No exception leaves a batch.
 * - A request that has its answer at once is answered within the batch and is never listed; one
 *   that waits is in `#inFlight` until its operation has settled, even if it was answered earlier
 *   because of an interrupt.
 * - What an answer hands over (references, handles) and does not arrive is given back.
 * - Requests are always read. WRITEs that hold too much memory wait for their start, see WriteBudget.
 */
import { type Errno, FsError, toErrno } from '../fs/errno.ts';
import type { FileSystem, MaybePromise, ReadBytes } from '../fs/filesystem.ts';
import { MiB } from '../lib/bytes.ts';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import { agree, decodeOffer, encodeAgreement } from './negotiation.ts';
import type { OperationTimes } from './operation-times.ts';
import type { Exchange } from './operations/operation.ts';
import { operations } from './operations.ts';
import { Passthrough } from './passthrough.ts';
import { PendingRequest } from './pending-request.ts';
import { inHeader, initFlags2, opcodes, outHeader, PROTOCOL_MAJOR, sizes } from './protocol/abi.ts';
import { RequestCursor } from './protocol/cursor.ts';
import { ReplyWriter } from './protocol/reply.ts';
import { emptyForm, type ReplyForm } from './reply-form.ts';
import type { Channel, ReceiveBatch } from './transport.ts';
import { WriteBudget } from './write-budget.ts';

/** Numbers of the errors on this system. */
export type ErrnoNumbers = Readonly<Record<Errno, number>>;

/** What WRITEs may hold before further ones wait: as much as the kernel sends in the background. */
const WRITE_BYTES_MAX = 64 * MiB;

export class Session implements Exchange {
  readonly fileSystem: FileSystem;
  readonly #channel: Channel;
  readonly #errnoNumbers: ErrnoNumbers;
  readonly #log: Log;
  readonly #times: OperationTimes | undefined;
  readonly #input = new RequestCursor();
  readonly #writer: ReplyWriter;
  readonly #inFlight = new Map<number, PendingRequest>();
  readonly #writes = new WriteBudget(WRITE_BYTES_MAX);
  #passthrough: Passthrough | undefined;
  #initialized = false;
  /** When the batch at hand was read. */
  #arrived = 0;
  #onIdle: (() => void) | undefined;

  /**
   * Resolves when the kernel has let go of the mount and every operation has settled. Operations
   * without effect are aborted then; the others run to their end, so that no upload is cut off.
   */
  readonly ended: Promise<void>;

  /** @param times told of each reply. */
  constructor(
    channel: Channel,
    fileSystem: FileSystem,
    errnoNumbers: ErrnoNumbers,
    log: Log,
    times?: OperationTimes,
  ) {
    this.#channel = channel;
    this.#times = times;
    this.fileSystem = fileSystem;
    this.#errnoNumbers = errnoNumbers;
    this.#log = log;
    this.#writer = new ReplyWriter(channel.head);
    this.ended = channel.ended.then(async () => await this.#drain());
  }

  /** Operations that have not settled. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Payloads of WRITEs that the file system was given and has not finished with. */
  get writeBytes(): number {
    return this.#writes.bytes;
  }

  get passthrough(): Passthrough | undefined {
    return this.#passthrough;
  }

  start(): void {
    this.#channel.start(this.#receive);
  }

  /** Answers what waits with EIO, so that nothing in the kernel hangs on us, and closes. */
  close(): void {
    for (const request of this.#inFlight.values()) {
      if (!request.answered) this.#sendErrno(request, 'EIO');
      request.abort();
      this.#dropPostponed(request);
    }
    this.#channel.close();
  }

  settle<T>(request: PendingRequest, result: MaybePromise<T>, form: ReplyForm<T>): void {
    if (!(result instanceof Promise)) {
      this.#deliver(request, result, form);
      return;
    }
    this.#inFlight.set(request.key, request);
    this.#writes.take(request.keptBytes);
    result
      .then(
        (value) => this.#deliver(request, value, form),
        (error: unknown) => this.#refuse(request, error),
      )
      .catch((error: unknown) => this.#refuse(request, error))
      .finally(() => {
        this.#retire(request);
        this.#writes.give(request.keptBytes);
      })
      .catch(() => undefined);
  }

  mustWait(bytes: number): boolean {
    return this.#writes.mustWait(bytes);
  }

  postpone(request: PendingRequest, start: () => void): void {
    this.#inFlight.set(request.key, request);
    this.#writes.postpone(request, () => {
      // What waits again is listed again; what is answered at once is not.
      this.#retire(request);
      try {
        start();
      } catch (error) {
        this.#refuse(request, error);
      }
    });
  }

  readonly #receive: ReceiveBatch = (arena, bounds, count) => {
    if (this.#times !== undefined) this.#arrived = this.#times.moment();
    for (let at = 0; at < count; at += 1) {
      this.#input.moveTo(arena, bounds[2 * at] ?? 0, bounds[2 * at + 1] ?? 0);
      this.#handle(this.#input);
    }
  };

  /** Never throws. */
  #handle(input: RequestCursor): void {
    if (input.totalBytes < inHeader.bytes) {
      this.#log.error('fuse.malformed', { bytes: input.totalBytes });
      return;
    }
    const opcode = input.header(inHeader.opcode);
    if (this.#handleSilent(opcode, input)) return;
    const request = new PendingRequest(input);
    request.arrived = this.#arrived;
    if (this.#inFlight.has(request.key)) {
      // Two requests of one name: an answer could not tell which it is for.
      this.#log.error('fuse.repeated', { opcode });
      return;
    }
    try {
      this.#run(request, input);
    } catch (error) {
      this.#refuse(request, error);
    }
  }

  #run(request: PendingRequest, input: RequestCursor): void {
    const { opcode } = request;
    if (input.header(inHeader.length) !== input.totalBytes) {
      throw new FsError('EIO', 'read a request whose length is not what its header says');
    }
    if (opcode === opcodes.INIT) {
      this.#init(request, input);
      return;
    }
    if (!this.#initialized) throw new FsError('EIO', 'answer before INIT');
    if (opcode === opcodes.DESTROY) {
      this.#deliver(request, undefined, emptyForm);
      return;
    }
    const operation = operations.get(opcode);
    if (operation === undefined) {
      this.#sendErrno(request, 'ENOSYS');
      return;
    }
    if (input.bodyBytes < operation.fixedBytes) {
      throw new FsError('EINVAL', `read a short ${operation.name}`);
    }
    operation.run(this, request, input);
  }

  /** The requests that get no reply. Returns whether it was one. */
  #handleSilent(opcode: number, input: RequestCursor): boolean {
    switch (opcode) {
      case opcodes.FORGET:
        if (input.bodyBytes >= sizes.forgetIn) this.#forget(input.inode, input.u64(0));
        return true;
      case opcodes.BATCH_FORGET:
        this.#batchForget(input);
        return true;
      case opcodes.INTERRUPT:
        if (input.bodyBytes >= sizes.interruptIn) this.#interrupt(input.u64(0));
        return true;
      case opcodes.NOTIFY_REPLY:
        return true;
      default:
        return false;
    }
  }

  #batchForget(input: RequestCursor): void {
    const room = Math.floor((input.bodyBytes - sizes.batchForgetIn) / sizes.forgetOne);
    const count = Math.min(input.bodyBytes >= sizes.batchForgetIn ? input.u32(0) : 0, room);
    for (let at = 0; at < count; at += 1) {
      const from = sizes.batchForgetIn + at * sizes.forgetOne;
      this.#forget(input.inodeAt(from), input.u64(from + 8));
    }
  }

  #forget(...args: Parameters<FileSystem['forget']>): void {
    try {
      this.fileSystem.forget(...args);
    } catch (error) {
      this.#log.error('fuse.failed', { operation: 'FORGET', error });
    }
  }

  /**
   * The kernel sends it only for a request that we have read. One answered meanwhile is gone from
   * the table: nothing to do, and INTERRUPT itself is never answered.
   *
   * An operation that changes something runs to its end: a disk answers no EINTR there, programs
   * do not expect one, and a store's request cut off in the middle is in doubt.
   */
  #interrupt(key: number): void {
    const request = this.#inFlight.get(key);
    if (request === undefined) return;
    const prompt = operations.get(request.opcode)?.prompt ?? false;
    if (prompt) request.abort();
    const undone = this.#dropPostponed(request);
    if ((prompt || undone) && !request.answered) this.#sendErrno(request, 'EINTR');
  }

  /** Whether `request` was still waiting for its start, which does not come now. */
  #dropPostponed(request: PendingRequest): boolean {
    const dropped = request.keptBytes > 0 && this.#writes.cancel(request);
    if (dropped) this.#retire(request);
    return dropped;
  }

  #init(request: PendingRequest, input: RequestCursor): void {
    if (this.#initialized || input.bodyBytes < sizes.initIn) {
      throw new FsError('EIO', 'read INIT');
    }
    const offer = decodeOffer(input);
    const { backing, capabilities } = this.#channel;
    // Asked for only where it will be used: nothing can be stacked on such a mount.
    const passthrough = backing !== undefined && this.fileSystem.offersBacking === true;
    const agreement = agree(offer, { ...capabilities, passthrough });
    if (agreement === undefined) {
      this.#log.error('fuse.too-old', { major: offer.major, minor: offer.minor });
      this.#sendErrno(request, 'EIO');
      return;
    }
    if (passthrough && (agreement.flags2 & initFlags2.PASSTHROUGH) !== 0) {
      this.#passthrough = new Passthrough(backing);
    }
    const bodyBytes = encodeAgreement(this.#writer, outHeader.bytes, agreement);
    // A kernel of a later major reads only ours, and asks again in our words.
    this.#initialized = offer.major === PROTOCOL_MAJOR;
    this.#log.debug('fuse.init', { kernelMinor: offer.minor, ...agreement });
    this.#send(request, outHeader.bytes + bodyBytes, undefined);
  }

  #deliver<T>(request: PendingRequest, value: T, form: ReplyForm<T>): void {
    let arrived = false;
    try {
      if (!request.answered) {
        const headBytes =
          outHeader.bytes + form.encode(this.#writer, outHeader.bytes, value, request);
        arrived = this.#send(request, headBytes, form.payload?.(value));
      }
    } finally {
      if (!arrived) this.#takeBack(request, value, form);
    }
  }

  #takeBack<T>(request: PendingRequest, value: T, form: ReplyForm<T>): void {
    const failed = (error: unknown): void =>
      this.#log.error('fuse.failed', { operation: 'take back', error });
    try {
      const done = form.takeBack?.(this.fileSystem, value, request);
      if (done instanceof Promise) done.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Answers with the errno of `error`, unless there is an answer already. */
  #refuse(request: PendingRequest, error: unknown): void {
    const errno = toErrno(error);
    if (errno === 'EIO' || !(error instanceof WireError)) {
      const operation = operations.get(request.opcode)?.name ?? request.opcode;
      this.#log.warn('fuse.failed', { operation, errno, error });
    }
    if (!request.answered) this.#sendErrno(request, errno);
  }

  #sendErrno(request: PendingRequest, errno: Errno): void {
    request.answered = true;
    this.#header(request, outHeader.bytes, -this.#errnoNumbers[errno]);
    try {
      this.#channel.reply(outHeader.bytes);
    } catch (error) {
      this.#log.error('fuse.unanswered', { opcode: request.opcode, error });
    }
    this.#times?.refused(request.opcode, request.arrived, errno);
  }

  /**
   * Sends what is encoded in the head and `payload`.
   *
   * @returns whether it arrived.
   * @throws when the payload is longer than was asked for, or the kernel refuses the reply; the
   *   request can still be answered with an errno.
   */
  #send(request: PendingRequest, headBytes: number, payload: ReadBytes | undefined): boolean {
    if (request.answered) throw new Error('a request was answered twice');
    const payloadBytes = payload === undefined ? 0 : lengthOf(payload);
    if (payloadBytes > request.payloadBytes && payload !== undefined) {
      throw new Error(`${payloadBytes} bytes for a request of ${request.payloadBytes}`);
    }
    this.#header(request, headBytes + payloadBytes, 0);
    const arrived = this.#channel.reply(headBytes, payload);
    request.answered = true;
    this.#times?.answered(request.opcode, request.arrived, payloadBytes + request.keptBytes);
    return arrived;
  }

  #header(request: PendingRequest, bytes: number, error: number): void {
    this.#writer.u32(outHeader.length, bytes);
    this.#writer.u32(outHeader.error, error);
    this.#writer.u32(outHeader.unique, request.uniqueLow);
    this.#writer.u32(outHeader.unique + 4, request.uniqueHigh);
  }

  #retire(request: PendingRequest): void {
    this.#inFlight.delete(request.key);
    if (this.#inFlight.size === 0) this.#onIdle?.();
  }

  async #drain(): Promise<void> {
    for (const request of this.#inFlight.values()) {
      request.answered = true;
      this.#dropPostponed(request);
      if (operations.get(request.opcode)?.prompt === true) request.abort();
    }
    if (this.#inFlight.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }
}

function lengthOf(payload: ReadBytes): number {
  if (payload instanceof Uint8Array) return payload.length;
  let bytes = 0;
  for (const piece of payload) bytes += piece.length;
  return bytes;
}
