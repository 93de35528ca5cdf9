/**
 * A ranged read that never yields a wrong byte: each answer is checked against what was asked
 * for, and a body that ends too early is taken up where it stopped.
 */
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import type { Extent } from '../lib/bytes.ts';
import { StoreError } from '../store/errors.ts';
import type { ETag, ObjectVersion, ReadSink } from '../store/object-store.ts';
import { pour } from '../store/read-sink.ts';
import type { RetryBudget } from './retry.ts';
import type { S3Connection } from './s3-connection.ts';
import { parseContentRange, rangeHeader, sameEtag } from './s3-encoding.ts';

export interface ReadTarget {
  readonly bucket: string;
  readonly key: string;
  readonly etag: ETag;
  /** A clause for people. */
  readonly tried: string;
}

/** An answer whose head is as asked: its body should hold exactly `extent`. */
interface OpenedRange {
  readonly version: ObjectVersion;
  readonly extent: Extent;
  readonly body: AsyncIterable<Uint8Array> & { destroy(): void };
}

/** Reads `extent` of the target, which lies at least in part inside the object, into `sink`. */
export async function readRange(
  connection: S3Connection,
  target: ReadTarget,
  extent: Extent,
  sink: ReadSink,
  signal: AbortSignal,
): Promise<ObjectVersion> {
  const budget = connection.retryBudget();
  let range = await openRange(connection, target, extent, budget, signal);
  const { version } = range;
  const { end } = range.extent;
  let at = range.extent.start;
  for (;;) {
    try {
      for await (const chunk of range.body) {
        if (chunk.byteLength > end - at) throw broken(target, 'more bytes than promised');
        at += chunk.byteLength;
        if (chunk.byteLength > 0) budget.renew();
        pour(chunk, sink);
      }
      if (at === end) return version;
      throw broken(target, 'fewer bytes than promised');
    } catch (error) {
      signal.throwIfAborted();
      const refusal = error instanceof StoreError ? error : broken(target, 'broke off', error);
      await budget.pause(refusal, signal);
    }
    range = await openRange(connection, target, { start: at, end }, budget, signal);
  }
}

async function openRange(
  connection: S3Connection,
  target: ReadTarget,
  extent: Extent,
  budget: RetryBudget,
  signal: AbortSignal,
): Promise<OpenedRange> {
  const { bucket, key, etag, tried } = target;
  const input = { Bucket: bucket, Key: key, Range: rangeHeader(extent), IfMatch: etag };
  return await connection.call(
    tried,
    async (client, options) => checked(target, extent, await client.getObject(input, options)),
    signal,
    { budget },
  );
}

/** The answer, if its head tells what was asked for. */
function checked(target: ReadTarget, asked: Extent, output: GetObjectCommandOutput): OpenedRange {
  const body = output.Body as unknown as OpenedRange['body'] | undefined;
  if (body === undefined) throw broken(target, 'no body');
  try {
    const { ETag: etag, ContentLength: length, ContentRange: header } = output;
    if (etag === undefined) throw broken(target, 'no ETag');
    if (!sameEtag(etag, target.etag)) throw changed(target);
    const whole = { extent: { start: 0, end: length ?? 0 }, bytes: length ?? 0 };
    const range = header === undefined ? whole : parseContentRange(header);
    const end = Math.min(asked.end, range?.bytes ?? 0);
    const { start, end: rangeEnd } = range?.extent ?? { start: -1, end: -1 };
    if (start !== asked.start || rangeEnd !== end || (length ?? end - start) !== end - start) {
      throw broken(target, `the range ${header ?? `of ${length ?? 'unknown'} bytes`}`);
    }
    const modifiedMs = output.LastModified?.getTime() ?? 0;
    const version = { etag: target.etag, bytes: range?.bytes ?? 0, modifiedMs };
    return { version, extent: { start, end }, body };
  } catch (error) {
    body.destroy();
    throw error;
  }
}

function broken({ tried }: ReadTarget, answer: string, cause?: unknown): StoreError {
  return new StoreError('unavailable', tried, { code: answer }, { cause });
}

/** A server that does not know If-Match tells it this way. */
function changed({ tried }: ReadTarget): StoreError {
  return new StoreError('precondition-failed', tried, { code: 'another version came' });
}
