/**
 * Asks a bucket what one may do in it, by doing it: one object of 4 KiB under a name that nobody
 * else has, made only if nothing is there, read, and deleted again, also when something fails or
 * the person has had enough. What a server promises of conditions is tried on that object alone.
 */
import { randomBytes } from 'node:crypto';
import type { Source } from '../../config/source.ts';
import { formatSource } from '../../config/source.ts';
import type { Clock } from '../../lib/clock.ts';
import { WireError, type WireErrorKind } from '../../lib/wire-error.ts';
import { plainBody } from '../../s3/body-guard.ts';
import type { Header } from '../../s3/request-signature.ts';
import type { S3Connection } from '../../s3/s3-connection.ts';
import { encodePart } from '../../s3/s3-encoding.ts';
import { S3ObjectStore } from '../../s3/s3-object-store.ts';
import type { S3Answer } from '../../s3/s3-request.ts';
import { completionDocument } from '../../s3/write-documents.ts';
import type { ObjectSummary, Upload } from '../../store/object-store.ts';
import {
  type Answer,
  type BucketFacts,
  median,
  type TimingFacts,
  type WriteFacts,
} from './bucket-findings.ts';

export interface ProbeOptions {
  readonly connection: S3Connection;
  /** Of all rights of the role: an old version may need them to be deleted. */
  readonly wide: () => S3Connection;
  readonly source: Extract<Source, { readonly kind: 'bucket' }>;
  readonly readOnly: boolean;
  readonly clock: Clock;
}

/** What is read from small files; RGW and its like are measured with it. */
const PROBE_BYTES = 4096;
/** An odd number: the middle one counts. */
const SAMPLES = 9;
/** For taking the probe away, whatever has become of the rest. */
const TIDY_MS = 10_000;
/** Nobody could take it for a file of theirs. */
const PROBE_NAME = '.wire-doctor-probe-delete-me-';
/** An ETag that no object has: it is not even an MD5. */
const NO_ETAG = 'wire-doctor-no-such-version';
/** Objects looked at for one that can be read. */
const LOOK_KEYS = 20;

export async function probeBucket(
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<BucketFacts> {
  return await new BucketProbe(options).run(signal);
}

class BucketProbe {
  readonly #options: ProbeOptions;
  readonly #store: S3ObjectStore;
  readonly #key: string;
  /** Versions that were made, where the bucket numbers them. */
  readonly #versions: string[] = [];
  #server: string | undefined;

  constructor(options: ProbeOptions) {
    const { connection, source } = options;
    this.#options = options;
    this.#store = new S3ObjectStore(connection, source.bucket);
    this.#key = `${source.prefix}${PROBE_NAME}${randomBytes(12).toString('hex')}`;
  }

  async run(signal: AbortSignal): Promise<BucketFacts> {
    const { source, readOnly } = this.#options;
    const place = formatSource(source);
    let found: readonly ObjectSummary[] = [];
    const request = { prefix: source.prefix, maxKeys: LOOK_KEYS } as const;
    const list = await answerOf(async () => {
      found = (await this.#store.list(request, signal)).objects;
    }, signal);
    // Nothing else can be learnt of a bucket that is not there.
    if (!list.done && list.kind !== 'access-denied') return { place, list };
    const written = readOnly ? undefined : await this.#write(signal);
    const readable = found.find(({ bytes }) => bytes > 0)?.key;
    const read =
      written?.read ?? (readable === undefined ? undefined : await this.#read(readable, signal));
    const { timing, answer: get } = read ?? {};
    return {
      place,
      list,
      ...(written !== undefined && { write: written.facts }),
      ...(get !== undefined && { get }),
      ...(timing !== undefined && { timing }),
      ...(this.#server !== undefined && { server: this.#server }),
    };
  }

  /** Writes the probe, and takes it away again. */
  async #write(
    signal: AbortSignal,
  ): Promise<{ readonly facts: WriteFacts; readonly read?: ReadFacts | undefined }> {
    let put: Answer | undefined;
    let read: ReadFacts | undefined;
    let conditions: Pick<WriteFacts, 'putAgain' | 'putStale' | 'completeAgain'> = {};
    let tidied: Pick<WriteFacts, 'remove' | 'left'> = { left: 'nothing' };
    try {
      put = await this.#put([['if-none-match', '*']], signal);
      if (put.done) {
        read = await this.#read(this.#key, signal);
        conditions = {
          putAgain: await this.#put([['if-none-match', '*']], signal),
          putStale: await this.#put([['if-match', NO_ETAG]], signal),
          completeAgain: await this.#completeAgain(signal),
        };
      }
    } finally {
      // Also after an abort, or no answer: it may have been written all the same.
      if (put === undefined || put.done || inDoubt.has(put.kind)) tidied = await this.#tidy();
    }
    return { facts: { put, ...conditions, ...(put.done ? tidied : { left: tidied.left }) }, read };
  }

  async #put(headers: readonly Header[], signal: AbortSignal): Promise<Answer> {
    const { connection, source } = this.#options;
    const body = plainBody(Buffer.alloc(PROBE_BYTES, 'wire doctor '));
    return await answerOf(async () => {
      await connection.send(
        `write ${source.bucket}/${this.#key}`,
        { method: 'PUT', bucket: source.bucket, key: this.#key, headers, body },
        (answer) => this.#note(answer),
        signal,
        { once: true, mustBeAbsent: headers.some(([name]) => name === 'if-none-match') },
      );
    }, signal);
  }

  /** An upload of one part that ends where the probe is, if nothing were there. */
  async #completeAgain(signal: AbortSignal): Promise<Answer> {
    const { connection, source } = this.#options;
    let upload: Upload | undefined;
    const answer = await answerOf(async () => {
      const begun = await this.#store.startUpload(this.#key, {}, signal);
      upload = begun;
      const bytes = Buffer.alloc(PROBE_BYTES, 'wire doctor ');
      const part = await this.#store.uploadPart(begun, 1, bytes, signal);
      await connection.send(
        `finish writing ${source.bucket}/${this.#key}`,
        {
          method: 'POST',
          bucket: source.bucket,
          key: this.#key,
          query: `uploadId=${encodePart(begun.uploadId)}`,
          headers: [['if-none-match', '*']],
          body: plainBody(completionDocument([part])),
        },
        (told) => this.#note(told),
        signal,
        { once: true, mustBeAbsent: true },
      );
      upload = undefined;
    }, signal);
    if (upload !== undefined) {
      const begun = upload;
      const tidying = AbortSignal.timeout(TIDY_MS);
      await answerOf(async () => await this.#store.abortUpload(begun, tidying), tidying);
    }
    return answer;
  }

  async #read(key: string, signal: AbortSignal): Promise<ReadFacts> {
    const { connection, source } = this.#options;
    const { bucket } = source;
    const once = { once: true } as const;
    const range: Header = ['range', `bytes=0-${PROBE_BYTES - 1}`];
    let bytes = 0;
    const get = async (): Promise<void> =>
      await connection.send(
        `read ${bucket}/${key}`,
        { method: 'GET', bucket, key, headers: [range] },
        (answer) => {
          this.#note(answer, false);
          bytes = answer.body.byteLength;
        },
        signal,
        once,
      );
    const head = async (): Promise<void> => {
      const tried = `look up ${bucket}/${key}`;
      await connection.send(tried, { method: 'HEAD', bucket, key }, () => undefined, signal, once);
    };
    // The first one opens the connection, and is not counted.
    const answer = await answerOf(get, signal);
    if (!answer.done) return { answer };
    const [headMs, getMs]: [number[], number[]] = [[], []];
    const timed = await answerOf(async () => {
      for (let sample = 0; sample < SAMPLES; sample += 1) {
        headMs.push(await this.#timed(head));
        getMs.push(await this.#timed(get));
      }
    }, signal);
    if (!timed.done) return { answer };
    return { answer, timing: { headMs: median(headMs), getMs: median(getMs), bytes } };
  }

  async #timed(work: () => Promise<void>): Promise<number> {
    const { clock } = this.#options;
    const startedMs = clock.monotonic();
    await work();
    return clock.monotonic() - startedMs;
  }

  #note({ headers }: S3Answer, made = true): void {
    this.#server ??= serverOf(headers);
    const version = headers.get('x-amz-version-id');
    if (made && version !== undefined && version !== 'null') this.#versions.push(version);
  }

  /** Deletes the probe, and where the bucket keeps versions each of those. Fails with a reason. */
  async #tidy(): Promise<Pick<WriteFacts, 'remove' | 'left'>> {
    const signal = AbortSignal.timeout(TIDY_MS);
    const key = this.#key;
    try {
      // In a bucket with versions this makes one more, which says that the others are gone.
      const remove = await this.#remove(this.#options.connection, undefined, signal);
      for (const version of [undefined, ...this.#versions]) {
        if (version === undefined && remove.done) continue;
        const gone = await this.#remove(this.#options.wide(), version, signal);
        if (gone.done) continue;
        const what = version === undefined ? '' : 'the bucket keeps versions, and ';
        return { remove, left: { key, why: `${what}it may not be deleted (${gone.said})` } };
      }
      return { remove, left: 'nothing' };
    } catch {
      return { left: { key, why: `the store did not answer within ${TIDY_MS / 1000} s` } };
    }
  }

  async #remove(
    connection: S3Connection,
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { bucket } = this.#options.source;
    const query = version === undefined ? {} : { query: `versionId=${encodePart(version)}` };
    return await answerOf(async () => {
      const tried = `delete ${bucket}/${this.#key}`;
      const request = { method: 'DELETE', bucket, key: this.#key, ...query } as const;
      await connection.send(tried, request, (told) => this.#note(told), signal);
    }, signal);
  }
}

/** Nobody knows whether a write that was refused so was done. */
const inDoubt: ReadonlySet<WireErrorKind> = new Set(['unreachable', 'unavailable']);

interface ReadFacts {
  readonly answer: Answer;
  readonly timing?: TimingFacts;
}

/** How `ask` went. @throws `signal.reason` once `signal` aborts. */
async function answerOf(ask: () => Promise<unknown>, signal: AbortSignal): Promise<Answer> {
  try {
    await ask();
    return { done: true };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    return { done: false, kind: error.kind, said: error.facts.answered };
  }
}

/** Ceph RGW 16 does not name itself: its ids of requests begin with `tx`, and then the number. */
function serverOf(headers: ReadonlyMap<string, string>): string | undefined {
  const isCeph = /^tx[0-9a-f]{21}-/.test(headers.get('x-amz-request-id') ?? '');
  return isCeph ? 'Ceph RGW' : headers.get('server');
}
