/** Runs every check on one server, in a bucket of its own that is gone afterwards. */
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { LinkedAbort } from '../../src/lib/abort.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { accessChecks } from './access-checks.ts';
import { type Check, type Checks, describeError, Mismatch } from './check.ts';
import { conditionChecks } from './condition-checks.ts';
import { listingChecks } from './listing-checks.ts';
import { multipartChecks } from './multipart-checks.ts';
import { objectChecks } from './object-checks.ts';
import { type ConformanceCredentials, type Endpoint, Target } from './target.ts';

export interface CheckResult {
  readonly name: string;
  readonly passed: boolean;
  /** Why not; empty when passed. */
  readonly reason: string;
}

/** Access comes last, since versioning ends it. */
const checks: Checks = {
  ...objectChecks,
  ...conditionChecks,
  ...multipartChecks,
  ...listingChecks,
  ...accessChecks,
};

/** No check moves more than 50 MiB: a server that takes longer hangs. */
const CHECK_TIMEOUT_MS = 30_000;
const CLEANUP_TIMEOUT_MS = 60_000;

/**
 * Results in the order of the run. The bucket must not exist yet.
 *
 * @throws S3ServiceException when the bucket cannot be made; `signal.reason` on abort. The bucket
 *   is removed in any case.
 */
export async function runConformance(
  endpoint: Endpoint,
  credentials: ConformanceCredentials,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  using target = new Target(endpoint, credentials);
  const create = new CreateBucketCommand({ Bucket: target.bucket });
  await target.client.send(create, { abortSignal: signal });
  try {
    const results: CheckResult[] = [];
    for (const [name, check] of Object.entries(checks)) {
      results.push({ name, ...(await tryCheck(check, target, signal)) });
      signal.throwIfAborted();
    }
    return results;
  } finally {
    await removeBucket(target, AbortSignal.timeout(CLEANUP_TIMEOUT_MS));
  }
}

async function tryCheck(
  check: Check,
  target: Target,
  signal: AbortSignal,
): Promise<Omit<CheckResult, 'name'>> {
  using limit = new LinkedAbort(signal);
  const overdue = new Mismatch(`no answer in ${CHECK_TIMEOUT_MS / 1000} s`);
  systemClock.sleep(CHECK_TIMEOUT_MS, limit.signal).then(
    () => limit.abort(overdue),
    () => undefined,
  );
  try {
    await check(target, limit.signal);
    return { passed: true, reason: '' };
  } catch (error) {
    return { passed: false, reason: describeError(limit.signal.aborted ? overdue : error) };
  } finally {
    limit.abort();
  }
}

/** MinIO shows some keys only once others are gone, so one sweep may not be enough. */
const MAX_SWEEPS = 10;

async function removeBucket(target: Target, signal: AbortSignal): Promise<void> {
  await abortUploads(target, signal);
  for (let sweep = 1; ; sweep += 1) {
    for (const version of await everyVersion(target, signal)) {
      const command = new DeleteObjectCommand({ Bucket: target.bucket, ...version });
      await target.client.send(command, { abortSignal: signal });
    }
    try {
      const command = new DeleteBucketCommand({ Bucket: target.bucket });
      await target.client.send(command, { abortSignal: signal });
      return;
    } catch (error) {
      const again = error instanceof S3ServiceException && error.name === 'BucketNotEmpty';
      if (!again || sweep === MAX_SWEEPS) throw error;
    }
  }
}

async function abortUploads(target: Target, signal: AbortSignal): Promise<void> {
  const list = new ListMultipartUploadsCommand({ Bucket: target.bucket });
  const { Uploads: uploads = [] } = await target.client.send(list, { abortSignal: signal });
  for (const { Key, UploadId } of uploads) {
    const command = new AbortMultipartUploadCommand({ Bucket: target.bucket, Key, UploadId });
    await target.client.send(command, { abortSignal: signal });
  }
}

interface Version {
  readonly Key: string | undefined;
  readonly VersionId?: string | undefined;
}

/** The first page will do: the checks store fewer keys than fit in one. */
async function everyVersion(target: Target, signal: AbortSignal): Promise<readonly Version[]> {
  try {
    const list = new ListObjectVersionsCommand({ Bucket: target.bucket });
    const page = await target.client.send(list, { abortSignal: signal });
    const found = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    if (found.length > 0) return found.map(({ Key, VersionId }) => ({ Key, VersionId }));
  } catch (error) {
    // A server without versions says so; its keys are listed below.
    if (!(error instanceof S3ServiceException)) throw error;
  }
  const list = new ListObjectsV2Command({ Bucket: target.bucket });
  const { Contents: contents = [] } = await target.client.send(list, { abortSignal: signal });
  return contents.map(({ Key }) => ({ Key }));
}
