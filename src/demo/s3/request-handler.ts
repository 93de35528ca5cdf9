/**
 * The life of one request: target, planted faults, signature, operation, answer. Whatever goes
 * wrong on the way becomes the dialect's error, or a closed connection when headers are out.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Call, type Reply, type Store } from './call.ts';
import type { Counters } from './counters.ts';
import { errorReply } from './error-reply.ts';
import { PlantedError, S3Error } from './errors.ts';
import type { Expiry } from './expiry.ts';
import type { Fault, Faults } from './faults.ts';
import { storedKey } from './key-rules.ts';
import { operations } from './operations/table.ts';
import type { SecurityTokenService } from './principal.ts';
import { sendReply } from './reply-sender.ts';
import { RequestBody } from './request-body.ts';
import { route } from './routes.ts';
import type { SignatureVerifier } from './signature.ts';
import { readTarget, type Target } from './target.ts';
import { actionOf, answerToken, isTokenRequest, readForm } from './token-service.ts';

export interface HandlerOptions {
  readonly store: Store;
  readonly verifier: SignatureVerifier;
  readonly faults: Faults;
  readonly counters: Counters;
  readonly expiry: Expiry;
  readonly sts?: SecurityTokenService;
}

/** What is known of a request so far; filled as it goes. */
interface Progress {
  operation: string;
  target: Target | undefined;
  fault: Fault | undefined;
}

/** Counts requests that name no operation. */
const unknown = 'Unknown';
const noTarget = { bucket: '', key: '', rawPath: '/' };

export class RequestHandler {
  readonly #options: HandlerOptions;
  #requests = 0;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** Answers `request`; `signal` aborts when the client has gone or the server stops. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, faults, counters, clock } = {
      ...this.#options,
      clock: this.#options.store.clock,
    };
    this.#requests += 1;
    const requestId = this.#requests.toString(16).toUpperCase().padStart(16, '0');
    response.setHeader('server', store.quirks.serverHeader);
    response.setHeader('x-amz-request-id', requestId);
    const progress: Progress = { operation: unknown, target: undefined, fault: undefined };
    let reply: Reply | undefined;
    try {
      reply = await this.#answer(request, response, progress, signal);
    } catch (error) {
      if (signal.aborted || request.errored !== null) {
        response.destroy();
      } else {
        const refusal = error instanceof S3Error ? error : new S3Error('InternalError');
        reply = errorReply(refusal, store.quirks, { ...(progress.target ?? noTarget), requestId });
      }
    }
    const count = counters.of(progress.operation);
    if (progress.operation === unknown) count.requests += 1;
    if (reply === undefined || reply.status >= 400) count.errors += 1;
    if (reply === undefined) return;
    const { fault } = progress;
    const headersOnly = request.method === 'HEAD';
    count.bytesOut += await sendReply(
      reply,
      { response, fault, faults, clock, headersOnly },
      signal,
    );
  }

  /** Undefined: the connection was cut instead. */
  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<Reply | undefined> {
    const { sts, store } = this.#options;
    const target = readTarget(request);
    progress.target = target;
    if (target.bucket === '' && isTokenRequest(request)) {
      const form = await readForm(request, new URL(request.url ?? '/', 'http://x').search);
      progress.operation = actionOf(form);
      if (await this.#meetFault(response, progress, signal)) return undefined;
      if (sts === undefined) throw new S3Error('NotImplemented');
      const reply = await answerToken(sts, form);
      if (typeof reply.body === 'string') this.#options.expiry.noteIssued(reply.body);
      return reply;
    }
    const isCopy = request.headers['x-amz-copy-source'] !== undefined;
    const name = route({ method: request.method ?? '', isCopy, ...target }, store.quirks);
    progress.operation = name;
    if (await this.#meetFault(response, progress, signal)) return undefined;
    return await operations[name](this.#call(request, response, progress, target, signal));
  }

  /** Delays, cuts or fails the request as planted. True: it was cut. */
  async #meetFault(
    response: ServerResponse,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { faults, store, counters } = this.#options;
    counters.of(progress.operation).requests += 1;
    if (faults.latencyMs > 0) await store.clock.sleep(faults.latencyMs, signal);
    if (!faults.admits()) throw new S3Error('SlowDown');
    const fault = faults.take(progress.operation);
    progress.fault = fault;
    if (fault?.kind === 'fail') throw new PlantedError(fault.status, fault.code);
    if (fault?.kind === 'stall' && fault.afterBytes === undefined) {
      await store.clock.sleep(fault.ms, signal);
    }
    if (fault?.kind !== 'reset') return false;
    response.socket?.resetAndDestroy();
    return true;
  }

  #call(
    request: IncomingMessage,
    response: ServerResponse,
    progress: Progress,
    target: Target,
    signal: AbortSignal,
  ): Call {
    const { store, verifier, faults, counters } = this.#options;
    const { principal, payload } = verifier.verify(
      {
        method: request.method ?? '',
        rawPath: target.rawPath,
        query: target.pairs,
        header: (name) => request.headersDistinct[name],
      },
      store.clock.now(),
    );
    const shape = (pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> =>
      faults.pace(countBytes(pieces, counters, progress.operation), signal);
    return new Call({
      store,
      principal,
      bucket: target.bucket,
      key: storedKey(target.key, store.quirks),
      query: target.query,
      header: (name) => {
        const value = request.headers[name];
        return Array.isArray(value) ? value.join(',') : value;
      },
      headers: request.headers,
      body: new RequestBody({ request, response, payload, quirks: store.quirks, shape }),
    });
  }
}

async function* countBytes(
  pieces: AsyncIterable<Buffer>,
  counters: Counters,
  operation: string,
): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    counters.of(operation).bytesIn += piece.length;
    yield piece;
  }
}
