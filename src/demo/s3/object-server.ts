/**
 * The playground's object store: an S3 server of the playground's own, on the loopback interface,
 * that verifies signatures, asks policy, speaks a dialect, counts requests and misbehaves on demand.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { Closers } from '../../lib/closers.ts';
import type { StoreDialect } from '../dialect.ts';
import { BlobFolder } from './blob-folder.ts';
import { Buckets } from './bucket.ts';
import type { Store } from './call.ts';
import { answerControl, isControlRequest } from './control.ts';
import { Counters } from './counters.ts';
import { Expiry } from './expiry.ts';
import { Faults } from './faults.ts';
import { ForeignClient } from './foreign-client.ts';
import type { PrincipalBook, SecurityTokenService } from './principal.ts';
import { quirksOf } from './quirks.ts';
import { RequestHandler } from './request-handler.ts';
import { SignatureVerifier } from './signature.ts';

export interface ObjectServerOptions {
  readonly dialect: StoreDialect;
  readonly principals: PrincipalBook;
  /** Answers forms posted to `/`; absent: 501. */
  readonly sts?: SecurityTokenService;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Where a folder for large objects is made. Default: the system's temp folder. */
  readonly storage?: string;
  /** Default `us-east-1`. Signatures of every region are taken. */
  readonly region?: string;
  /** Default 0: any free one. */
  readonly port?: number;
}

/** A running server. Disposing it closes all connections and removes its files. */
export interface ObjectServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly dialect: StoreDialect;
  readonly faults: Faults;
  readonly counters: Counters;
  /** Reads and writes buckets past signatures, policy, faults and counters. */
  readonly foreign: ForeignClient;
  /** All temporary credentials issued so far are answered as expired. */
  expireNow(): void;
}

/** Session tokens are sent as headers and may hold a whole web identity token. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Longer than clients keep idle connections: the side that opened them closes them. */
const KEEP_ALIVE_MS = 120_000;

/** Listens until disposed or until `signal` aborts its start. */
export async function startObjectServer(
  options: ObjectServerOptions,
  signal: AbortSignal,
): Promise<ObjectServer> {
  signal.throwIfAborted();
  const { dialect, principals, clock = systemClock } = options;
  await using closers = new Closers();
  const store: Store = {
    buckets: new Buckets(),
    blobs: closers.use(await BlobFolder.create(options.storage)),
    quirks: quirksOf[dialect],
    clock,
    region: options.region ?? 'us-east-1',
  };
  const [faults, counters, expiry] = [new Faults(clock), new Counters(), new Expiry(clock)];
  const verifier = new SignatureVerifier(principals, store.quirks.identity, (principal) =>
    expiry.isExpired(principal),
  );
  const { sts } = options;
  const handler = new RequestHandler({
    ...{ store, verifier, faults, counters, expiry },
    ...(sts !== undefined && { sts }),
  });
  const foreign = new ForeignClient(store);
  const expireNow = (): void => expiry.expireNow();
  const control = { faults, counters, foreign, expireNow };
  const listener = closers.use(
    new Listener(async (request, response, gone) => {
      if (isControlRequest(request)) await answerControl(control, request, response);
      else await handler.handle(request, response, gone);
    }),
  );
  const port = await listener.listen(options.port ?? 0);
  signal.throwIfAborted();
  const held = closers.move();
  const url = `http://127.0.0.1:${port}`;
  const dispose = async (): Promise<void> => await held[Symbol.asyncDispose]();
  return { url, port, dialect, ...control, [Symbol.asyncDispose]: dispose };
}

type Handle = (
  request: IncomingMessage,
  response: ServerResponse,
  gone: AbortSignal,
) => Promise<void>;

/** The HTTP server: gives each request a signal, and waits for all of them when it closes. */
class Listener implements AsyncDisposable {
  readonly #server: Server;
  readonly #running = new Set<Promise<void>>();
  /** One for each request that is being answered. */
  readonly #gone = new Set<AbortController>();
  readonly #handle: Handle;

  constructor(handle: Handle) {
    this.#handle = handle;
    const accept = (request: IncomingMessage, response: ServerResponse): void => {
      const work: Promise<void> = this.#run(request, response).finally(() =>
        this.#running.delete(work),
      );
      this.#running.add(work);
    };
    this.#server = createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS, maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: 0 },
      accept,
    );
    // Without this Node says 100 before the signature has been looked at.
    this.#server.on('checkContinue', accept);
  }

  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const gone of this.#gone) gone.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await Promise.allSettled(this.#running);
    await closed;
  }

  async #run(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    this.#gone.add(gone);
    response.once('close', () => gone.abort());
    try {
      await this.#handle(request, response, gone.signal);
    } catch {
      // Only a broken connection gets here: there is nobody left to tell.
      response.destroy();
    } finally {
      this.#gone.delete(gone);
    }
  }
}
