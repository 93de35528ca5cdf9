import { type Extent, MiB } from '../lib/bytes.ts';
import type {
  ObjectStore,
  ObjectSummary,
  ObjectVersion,
  Upload,
  UploadedPart,
  WriteOptions,
} from '../store/object-store.ts';

/** S3: an upload has at most this many parts. */
const MAX_PARTS = 10_000;

/** Parts under way at once; each is copied inside the server. */
const PARALLEL_PARTS = 8;

/** Large enough that 10,000 of them hold 5 TiB. */
const PART_BYTES = 512 * MiB;

/** The extents of the parts that make an object of `bytes`. */
export function partExtents(bytes: number): readonly Extent[] {
  const partBytes = Math.max(PART_BYTES, Math.ceil(bytes / MAX_PARTS));
  const count = Math.ceil(bytes / partBytes);
  return Array.from({ length: count }, (_, at) => ({
    start: at * partBytes,
    end: Math.min((at + 1) * partBytes, bytes),
  }));
}

/** Copies an object too long for one request. Leaves no upload behind when it fails. */
export async function copyByParts(
  store: ObjectStore,
  from: ObjectSummary,
  to: string,
  options: WriteOptions,
  signal: AbortSignal,
): Promise<ObjectVersion> {
  const metadata = options.metadata ?? (await store.head(from.key, signal)).metadata;
  const upload = await store.startUpload(to, { ...options, metadata }, signal);
  try {
    const parts = await copyParts(store, upload, from, signal);
    return await store.completeUpload(upload, parts, options.precondition, signal);
  } catch (error) {
    // Also after an abort of `signal`, hence with a signal of its own; the first error is told.
    await store.abortUpload(upload, new AbortController().signal).catch(() => undefined);
    throw error;
  }
}

async function copyParts(
  store: ObjectStore,
  upload: Upload,
  from: ObjectSummary,
  signal: AbortSignal,
): Promise<readonly UploadedPart[]> {
  const extents = [...partExtents(from.bytes).entries()].values();
  const parts: UploadedPart[] = [];
  let failed = false;
  const copyNext = async (): Promise<void> => {
    for (const [at, extent] of extents) {
      if (failed) return;
      try {
        parts.push(await store.copyPart(upload, at + 1, from, extent, signal));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: PARALLEL_PARTS }, copyNext));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return parts.sort((a, b) => a.number - b.number);
}
