/**
 * Sends requests: signed here, over connections of our own, the body of a range read straight into
 * its sink. On loopback that takes a fifteenth of the CPU time of AWS's SDK for a range of 4 KiB,
 * and a seventh for one of 8 MiB.
 */
import type { Clock } from '../lib/clock.ts';
import type { AnswerHead } from '../net/http1/answer-head.ts';
import type { HttpPatience, PendingExchange, Receiver } from '../net/http1/http-exchange.ts';
import type { HttpPool } from '../net/http1/http-pool.ts';
import type { ObjectVersion } from '../store/object-store.ts';
import {
  afterExtra,
  afterRequest,
  firstExtra,
  LEAST_QUIET_MS,
  noWaits,
  quietLimitMs,
  withWait,
} from './ask-again.ts';
import { LeanDocument } from './lean-document.ts';
import { type RaceSender, raceFor } from './range-race.ts';
import type { RangeReading } from './range-reading.ts';
import {
  EMPTY_PAYLOAD,
  type Header,
  RequestSigner,
  UNSIGNED_PAYLOAD,
  type UnsignedRequest,
} from './request-signature.ts';
import type { Lease } from './s3-caller.ts';
import { rangeHeader } from './s3-encoding.ts';
import type { S3Answer, S3Request, Work } from './s3-request.ts';
import type { S3Route } from './s3-route.ts';

/** How patient a request is, in ms. */
export interface Patience {
  /** For a connection to come about. */
  readonly connectMs: number;
  /** For something to move on it. */
  readonly silenceMs: number;
}

export interface LeanParts {
  readonly pool: HttpPool;
  readonly route: S3Route;
  readonly clock: Clock;
  /** The endpoint is reached over TLS. */
  readonly secure: boolean;
  readonly patience: (work: Work) => Patience;
  /** A request on which nothing came for this long, at least, is made again. */
  readonly quietMs: number | undefined;
  readonly requesterPays: boolean;
  readonly userAgent: string;
  /** The endpoint has answered. */
  readonly meet: () => void;
}

/** `Date` has whole seconds, and has travelled: a smaller difference is none. */
const LEAST_SKEW_MS = 60_000;

export class LeanSender implements RaceSender {
  readonly #parts: LeanParts;
  readonly #userAgent: Header;
  #signer: RequestSigner | undefined;
  /** Server's clock less ours, where they are far apart. */
  #skewMs = 0;
  #waits = noWaits;
  #quietMs: number;
  #extra = firstExtra;
  /** ETags that look like MD5s have not been found to be something else. */
  #etagsAreMd5 = true;
  /** MD5s of reads under way that were not the ETag. */
  readonly #deniedBy = new WeakMap<RangeReading, string>();

  constructor(parts: LeanParts) {
    this.#parts = parts;
    this.#userAgent = ['user-agent', parts.userAgent];
    this.#quietMs = parts.quietMs ?? LEAST_QUIET_MS;
  }

  /** Reads what is missing of `reading`, in one try. */
  async read(reading: RangeReading, lease: Lease, signal: AbortSignal): Promise<ObjectVersion> {
    this.#extra = afterRequest(this.#extra);
    await raceFor(reading, this, lease, signal);
    return reading.finish();
  }

  /** The whole answer to `request`, in one try. */
  async send(request: S3Request, lease: Lease, signal: AbortSignal): Promise<S3Answer> {
    signal.throwIfAborted();
    const document = new LeanDocument((head) => this.answered(head));
    const exchange = this.#exchange(request, document, lease, []);
    const onAbort = (): void => exchange.cancel(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await exchange.ended;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return document.finish(exchange.sentAgain);
  }

  get etagsAreMd5(): boolean {
    return this.#etagsAreMd5;
  }

  now(): number {
    return this.#parts.clock.monotonic();
  }

  ask(reading: RangeReading, receiver: Receiver, lease: Lease): PendingExchange {
    const { bucket, key, etag } = reading.target;
    // The sums of a whole object: the first range of a small one may be that.
    const headers: readonly Header[] = reading.at === 0 ? [['x-amz-checksum-mode', 'ENABLED']] : [];
    // S3 wants only its own headers signed; so the ranges of an object share a signature.
    const unsigned: readonly Header[] = [
      ['if-match', etag],
      ['range', rangeHeader(reading.missing)],
    ];
    return this.#exchange({ method: 'GET', bucket, key, headers }, receiver, lease, unsigned);
  }

  #exchange(
    request: S3Request,
    receiver: Receiver,
    lease: Lease,
    unsigned: readonly Header[],
  ): PendingExchange {
    const { pool, clock } = this.#parts;
    const { method, body, work = 'answers' } = request;
    const atMs = clock.now() + this.#skewMs;
    const sent: Header[] = [this.#userAgent, ...unsigned];
    const carries = method === 'PUT' || method === 'POST';
    if (carries) sent.push(['content-length', String(body?.bytes.byteLength ?? 0)]);
    const head = this.#signerFor(lease).head(this.#unsigned(request, lease), sent, atMs);
    return pool.exchange(
      {
        head,
        repeatable: true,
        isHead: method === 'HEAD',
        ...(body !== undefined && { body: body.bytes }),
      },
      receiver,
      this.#patience(work),
    );
  }

  #unsigned(
    { method, bucket, key = '', query = '', headers = [], body }: S3Request,
    lease: Lease,
  ): UnsignedRequest {
    const { route, secure, requesterPays } = this.#parts;
    const { host, path } =
      bucket === undefined ? route.root : route.addressOf(bucket, key, lease.route);
    const guard = body?.guard();
    const empty = secure ? UNSIGNED_PAYLOAD : EMPTY_PAYLOAD;
    const all = guard === undefined ? headers : [...headers, ...guard.headers];
    const paying: readonly Header[] = requesterPays
      ? [...all, ['x-amz-request-payer', 'requester']]
      : all;
    return { method, host, path, query, headers: paying, payload: guard?.payload ?? empty };
  }

  #signerFor({ credentials, route: { region } }: Lease): RequestSigner {
    if (this.#signer?.credentials !== credentials || this.#signer.region !== region) {
      this.#signer = new RequestSigner(credentials, region);
    }
    return this.#signer;
  }

  #patience(work: Work): HttpPatience {
    const { connectMs, silenceMs } = this.#parts.patience(work);
    return { connectMs, silenceMs, quietMs: this.#quietMs };
  }

  mayAskAgain(): boolean {
    const extra = afterExtra(this.#extra);
    if (extra === undefined) return false;
    this.#extra = extra;
    return true;
  }

  /**
   * Damage on the way is not the same twice: bytes that give one sum two times over are right, and
   * ETags are no MD5s here.
   */
  deniesEtag(reading: RangeReading, md5: string): boolean {
    const again = this.#deniedBy.get(reading) === md5;
    this.#deniedBy.set(reading, md5);
    if (again) this.#etagsAreMd5 = false;
    return again;
  }

  waited(ms: number): void {
    this.#waits = withWait(this.#waits, ms);
    // The order of the samples is worth nothing between two rounds of them.
    if (this.#waits.next % 16 === 0) this.#quietMs = quietLimitMs(this.#waits, this.#parts.quietMs);
  }

  answered({ status, headers }: AnswerHead): void {
    this.#parts.meet();
    if (status !== 400 && status !== 403) return;
    const dateMs = Date.parse(headers.get('date') ?? '');
    if (Number.isNaN(dateMs)) return;
    const skewMs = dateMs - this.#parts.clock.now();
    this.#skewMs = Math.abs(skewMs) < LEAST_SKEW_MS ? 0 : skewMs;
  }
}
