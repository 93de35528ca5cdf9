import type { RequestContext } from '../fs/filesystem.ts';
import { inHeader } from './protocol/abi.ts';
import type { RequestCursor } from './protocol/cursor.ts';

const WORD = 2 ** 32;

/** One request from its arrival to its only reply. */
export class PendingRequest implements RequestContext {
  readonly opcode: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** The kernel's name for it, in two words so that it goes back exactly. */
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  /** Bytes of a READ's answer at most, or of a WRITE's payload. */
  payloadBytes = 0;
  /** Bytes of a payload that is kept for this request: a WRITE that waits counts against a bound. */
  keptBytes = 0;
  /** Of a WRITE: the kernel writes pages of a shared mapping back. */
  fromPages = false;
  /** When its batch was read, as `microseconds`; 0 where nobody wants to know. */
  arrived = 0;
  /** An answer was sent, or at least tried. */
  answered = false;
  #controller: AbortController | undefined;
  #aborted = false;

  constructor(input: RequestCursor) {
    this.opcode = input.header(inHeader.opcode);
    this.uniqueLow = input.header(inHeader.unique);
    this.uniqueHigh = input.header(inHeader.unique + 4);
    this.uid = input.header(inHeader.uid);
    this.gid = input.header(inHeader.gid);
    this.pid = input.header(inHeader.pid);
  }

  get key(): number {
    return this.uniqueHigh * WORD + this.uniqueLow;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort();
  }
}
