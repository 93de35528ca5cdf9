/** Copies of what is too long for one request, in parts. */
import { type Extent, MiB } from '../lib/bytes.ts';
import { StoreError } from '../store/errors.ts';
import type {
  ObjectStore,
  ObjectSummary,
  ObjectVersion,
  Upload,
  UploadedPart,
  WriteOptions,
} from '../store/object-store.ts';
import { BufferSink } from '../store/read-sink.ts';

/** S3: an upload has at most this many parts. */
const MAX_PARTS = 10_000;

/** Parts under way at once; each is copied inside the server. */
const PARALLEL_PARTS = 8;

/** Large enough that 10,000 of them hold 5 TiB. */
const PART_BYTES = 512 * MiB;
/** Of parts that have to pass through our memory, with as many under way at once. */
const PASSING_PART_BYTES = 8 * MiB;

/** The extents of the parts that make an object of `bytes`. */
export function partExtents(bytes: number, leastBytes: number = PART_BYTES): readonly Extent[] {
  const partBytes = Math.max(leastBytes, Math.ceil(bytes / MAX_PARTS));
  const count = Math.ceil(bytes / partBytes);
  return Array.from({ length: count }, (_, at) => ({
    start: at * partBytes,
    end: Math.min((at + 1) * partBytes, bytes),
  }));
}

/**
 * Copies an object too long for one request. Leaves no upload behind when it fails. Where the server
 * does not let us copy parts (Ceph RGW 16, with credentials of its STS), they pass through here.
 */
export async function copyByParts(
  store: ObjectStore,
  from: ObjectSummary,
  to: string,
  options: WriteOptions,
  signal: AbortSignal,
): Promise<ObjectVersion> {
  const { metadata, contentType } =
    options.metadata === undefined ? await store.head(from.key, signal) : options;
  const described = {
    ...options,
    ...(metadata !== undefined && { metadata }),
    ...(contentType !== undefined && { contentType }),
  };
  const upload = await store.startUpload(to, described, signal);
  try {
    const parts = await copyOrSendParts(store, upload, from, signal);
    return await store.completeUpload(upload, parts, options.precondition, signal);
  } catch (error) {
    // Also after an abort of `signal`, hence with a signal of its own; the first error is told.
    await store.abortUpload(upload, new AbortController().signal).catch(() => undefined);
    throw error;
  }
}

async function copyOrSendParts(
  store: ObjectStore,
  upload: Upload,
  from: ObjectSummary,
  signal: AbortSignal,
): Promise<readonly UploadedPart[]> {
  const copy: MakePart = async (number, extent) =>
    await store.copyPart(upload, number, from, extent, signal);
  const pass: MakePart = async (number, extent) => {
    const bytes = new Uint8Array(extent.end - extent.start);
    await store.read(from.key, extent, from.etag, new BufferSink(bytes), signal);
    return await store.uploadPart(upload, number, bytes, signal);
  };
  try {
    return await makeParts(partExtents(from.bytes), copy);
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'access-denied') throw error;
    return await makeParts(partExtents(from.bytes, PASSING_PART_BYTES), pass);
  }
}

type MakePart = (number: number, extent: Extent) => Promise<UploadedPart>;

async function makeParts(
  extentsOfParts: readonly Extent[],
  make: MakePart,
): Promise<readonly UploadedPart[]> {
  const extents = [...extentsOfParts.entries()].values();
  const parts: UploadedPart[] = [];
  let failed = false;
  const makeNext = async (): Promise<void> => {
    for (const [at, extent] of extents) {
      if (failed) return;
      try {
        parts.push(await make(at + 1, extent));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: PARALLEL_PARTS }, makeNext));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return parts.sort((a, b) => a.number - b.number);
}
