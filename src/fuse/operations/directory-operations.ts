/** Requests about open directories. */
import type { PendingRequest } from '../pending-request.ts';
import { FSYNC_DATA_ONLY } from '../protocol/abi.ts';
import type { RequestCursor } from '../protocol/cursor.ts';
import { Listing } from '../protocol/listing.ts';
import { emptyForm, listingForm, openedDirectoryForm } from '../reply-form.ts';
import type { Run } from './operation.ts';

/** A listing's reply at most; getdents buffers of the kernel are 4 to 32 KiB. */
const LISTING_BYTES_MAX = 128 * 1024;

export const opendir: Run = (exchange, request, input) => {
  const directory = exchange.fileSystem.opendir(input.inode, request);
  exchange.settle(request, directory, openedDirectoryForm);
};

export const readdir: Run = (exchange, request, input) => {
  const listing = listingOf(request, input);
  const done = exchange.fileSystem.readdir(
    input.handle(0),
    input.position(8),
    listing.fill,
    request,
  );
  exchange.settle(request, done, listingForm(listing));
};

export const readdirplus: Run = (exchange, request, input) => {
  const listing = listingOf(request, input);
  const done = exchange.fileSystem.readdirplus(
    input.handle(0),
    input.position(8),
    listing.fillPlus,
    request,
  );
  exchange.settle(request, done, listingForm(listing));
};

function listingOf(request: PendingRequest, input: RequestCursor): Listing {
  const bytes = Math.min(input.u32(16), LISTING_BYTES_MAX);
  request.payloadBytes = bytes;
  // Not zeroed: every byte of a listing is written before it is sent.
  return new Listing(Buffer.allocUnsafeSlow(bytes), bytes);
}

export const releasedir: Run = (exchange, request, input) =>
  exchange.settle(request, exchange.fileSystem.releasedir(input.handle(0), request), emptyForm);

export const fsyncdir: Run = (exchange, request, input) => {
  const dataOnly = (input.u32(8) & FSYNC_DATA_ONLY) !== 0;
  const done = exchange.fileSystem.fsyncdir(input.handle(0), dataOnly, request);
  exchange.settle(request, done, emptyForm);
};
