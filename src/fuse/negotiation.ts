/** What INIT agrees on: a decision from what the kernel offers, without effects. */
import {
  initFlags,
  initFlags2,
  OLDEST_MINOR,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR,
  sizes,
} from './protocol/abi.ts';
import type { RequestCursor } from './protocol/cursor.ts';
import type { ReplyWriter } from './protocol/reply.ts';
import type { Capabilities } from './transport.ts';

/** `struct fuse_init_in` */
export interface KernelOffer {
  readonly major: number;
  readonly minor: number;
  readonly maxReadaheadBytes: number;
  readonly flags: number;
  /** 0 from a kernel before 7.36. */
  readonly flags2: number;
}

export interface Agreement {
  readonly minor: number;
  readonly maxReadaheadBytes: number;
  readonly flags: number;
  readonly flags2: number;
  readonly maxWriteBytes: number;
  readonly maxPages: number;
  /** 0 unless there is passthrough. */
  readonly maxStackDepth: number;
}

/**
 * What we ask for when the kernel has it.
 *
 * - ATOMIC_O_TRUNC: `open` gets O_TRUNC; the kernel sends no SETATTR for it.
 * - READDIRPLUS with AUTO: names with attributes for a first listing and `ls -l`, names alone else.
 * - HANDLE_KILLPRIV_V2 spares a GETXATTR(security.capability) before each write. In turn the file
 *   system clears set-user-id and set-group-id itself when a file is written, truncated or given
 *   to another owner: each `FileSystem` does it, for every caller, so no request needs a flag.
 * - Not WRITEBACK_CACHE: it halves sequential writes and takes close's errors away. Not
 *   EXPLICIT_INVAL_DATA: a size that changed in the bucket must drop the pages of the old one.
 */
const WANTED =
  initFlags.ASYNC_READ |
  initFlags.ATOMIC_O_TRUNC |
  initFlags.BIG_WRITES |
  initFlags.ASYNC_DIO |
  initFlags.PARALLEL_DIROPS |
  initFlags.MAX_PAGES |
  initFlags.HANDLE_KILLPRIV_V2 |
  initFlags.INIT_EXT;

const PAGE_BYTES = 4096;
/** Requests that nobody waits for (read-ahead); the kernel's 12 would throttle one reader. */
const MAX_BACKGROUND = 64;
/** From here on the kernel tells its callers that the device is busy: 3/4, its own habit. */
const CONGESTION_THRESHOLD = 48;
/** Times have a granularity of one nanosecond. */
const TIME_GRANULARITY_NS = 1;

/**
 * A backing file may lie on an overlay, as in a container. In turn nothing can be stacked on us:
 * 2 is all the kernel allows (`FILESYSTEM_MAX_STACK_DEPTH`).
 */
const STACK_DEPTH = 2;

export function decodeOffer(input: RequestCursor): KernelOffer {
  const flags = input.u32(12);
  const extended = (flags & initFlags.INIT_EXT) !== 0 && input.bodyBytes >= sizes.initExtIn;
  return {
    major: input.u32(0),
    minor: input.u32(4),
    maxReadaheadBytes: input.u32(8),
    flags,
    flags2: extended ? input.u32(16) : 0,
  };
}

/** Undefined when this kernel speaks nothing that we do. */
export function agree(offer: KernelOffer, capabilities: Capabilities): Agreement | undefined {
  const older = offer.major === PROTOCOL_MAJOR && offer.minor < OLDEST_MINOR;
  if (offer.major < PROTOCOL_MAJOR || older) return undefined;
  const listing = capabilities.readdirplus
    ? initFlags.DO_READDIRPLUS | initFlags.READDIRPLUS_AUTO
    : 0;
  // A kernel before 7.36 does not read what INIT_EXT adds to the reply.
  const flags2 = offer.flags2 & (capabilities.passthrough === true ? initFlags2.PASSTHROUGH : 0);
  return {
    minor: offer.major > PROTOCOL_MAJOR ? PROTOCOL_MINOR : Math.min(offer.minor, PROTOCOL_MINOR),
    maxReadaheadBytes: offer.maxReadaheadBytes,
    flags: offer.flags & (WANTED | listing),
    flags2,
    maxWriteBytes: capabilities.maxWriteBytes,
    maxPages: capabilities.maxWriteBytes / PAGE_BYTES,
    maxStackDepth: (flags2 & initFlags2.PASSTHROUGH) === 0 ? 0 : STACK_DEPTH,
  };
}

/** `struct fuse_init_out` */
export function encodeAgreement(writer: ReplyWriter, at: number, agreement: Agreement): number {
  writer.bytes.fill(0, at, at + sizes.initOut);
  writer.u32(at, PROTOCOL_MAJOR);
  writer.u32(at + 4, agreement.minor);
  writer.u32(at + 8, agreement.maxReadaheadBytes);
  writer.u32(at + 12, agreement.flags);
  writer.u16(at + 16, MAX_BACKGROUND);
  writer.u16(at + 18, CONGESTION_THRESHOLD);
  writer.u32(at + 20, agreement.maxWriteBytes);
  writer.u32(at + 24, TIME_GRANULARITY_NS);
  writer.u16(at + 28, agreement.maxPages);
  writer.u32(at + 32, agreement.flags2);
  writer.u32(at + 36, agreement.maxStackDepth);
  return sizes.initOut;
}
