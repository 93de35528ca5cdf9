/**
 * The playground's identity provider: an OpenID Connect server on 127.0.0.1 that speaks one of two
 * dialects (`../dialect.ts`), counts and fails on order.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LinkedAbort } from '../../lib/abort.ts';
import { Closers } from '../../lib/closers.ts';
import { WireError } from '../../lib/wire-error.ts';
import { approveInBrowser, denyInBrowser } from './browser.ts';
import { answerControl, CONTROL_PATH, createControls, type IamControls } from './controls.ts';
import type { DialectServer } from './dialect-server.ts';
import { Faults } from './faults.ts';
import { IndigoServer } from './indigo/indigo-server.ts';
import { type IssuedSecret, IssuedSecrets } from './issued-secrets.ts';
import { SigningKeys } from './keys.ts';
import { jsonReply, readRequest, splitTarget, writeReply } from './message.ts';
import type { IamOptions } from './options.ts';
import { Settings } from './settings.ts';
import { createStandardServer } from './standard/standard-server.ts';

export interface Iam extends IamControls, AsyncDisposable {
  /** As in its discovery document: with a last slash in `indigo`, without in `standard`. */
  readonly issuer: string;
  /** Approves a device login like a person at a browser. Takes a user code or a complete URI. */
  approve(userCodeOrUri: string, userName: string, signal: AbortSignal): Promise<void>;
  /** Denies it. In `indigo` the device is not told. */
  deny(userCodeOrUri: string, userName: string, signal: AbortSignal): Promise<void>;
  /** Every secret in its replies so far. */
  issuedSecrets(): readonly IssuedSecret[];
}

/**
 * Starts the IAM. It closes at once, open connections too, on disposal or when `signal` aborts.
 *
 * @throws WireError `unavailable` when the port is taken.
 */
export async function startIam(options: IamOptions, signal: AbortSignal): Promise<Iam> {
  signal.throwIfAborted();
  await using closers = new Closers();
  const life = new LinkedAbort(signal);
  closers.defer(() => {
    life.abort();
    life[Symbol.dispose]();
  });
  const keys = options.keys ?? (await SigningKeys.create(options.x5c ?? true));
  const server = createServer();
  closers.defer(async () => await closeNow(server));
  await listen(server, options.port ?? 0, signal);
  life.signal.addEventListener('abort', () => void closeNow(server).catch(() => undefined), {
    once: true,
  });
  const { port } = server.address() as AddressInfo;
  const settings = new Settings(options, keys, options.origin ?? `http://127.0.0.1:${port}`);
  const dialect =
    options.dialect === 'indigo'
      ? new IndigoServer(settings)
      : await createStandardServer(settings);
  const faults = new Faults(settings.clock);
  const controls = createControls(settings, faults, dialect);
  const front = new Front(settings, dialect, faults, controls, life.signal);
  server.on('request', (request, response) => front.receive(request, response));
  return toIam(settings, controls, front.issued, closers.move());
}

/** Receives every request: controls, counters, faults; the dialect has what is left. */
class Front {
  readonly #settings: Settings;
  readonly #dialect: DialectServer;
  readonly #faults: Faults;
  readonly #controls: IamControls;
  readonly #signal: AbortSignal;
  readonly issued: IssuedSecrets = new IssuedSecrets();

  constructor(
    settings: Settings,
    dialect: DialectServer,
    faults: Faults,
    controls: IamControls,
    signal: AbortSignal,
  ) {
    this.#settings = settings;
    this.#dialect = dialect;
    this.#faults = faults;
    this.#controls = controls;
    this.#signal = signal;
  }

  receive(request: IncomingMessage, response: ServerResponse): void {
    this.issued.watch(response);
    this.#answer(request, response).catch((error: unknown) => {
      const isDefect = !this.#signal.aborted && !response.headersSent && !response.destroyed;
      if (!isDefect) response.destroy();
      else writeReply(response, jsonReply(500, { error: 'playground', defect: String(error) }));
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const now = this.#settings.clock.now() + this.#settings.skewSeconds * 1000;
    response.setHeader('date', new Date(now).toUTCString());
    const { path } = splitTarget(request.url ?? '/');
    if (path.startsWith(CONTROL_PATH)) {
      writeReply(response, await answerControl(await readRequest(request), this.#controls));
      return;
    }
    const endpoint = this.#dialect.endpointOf(path);
    if (!(await this.#faults.meet(endpoint, response, this.#signal))) return;
    await this.#dialect.handle(request, response);
  }
}

/** @throws WireError `unavailable` when the port is taken. */
async function listen(server: Server, port: number, signal: AbortSignal): Promise<void> {
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening', { signal });
  } catch (cause) {
    signal.throwIfAborted();
    const answered = cause instanceof Error ? cause.message : String(cause);
    const tried = `listen on 127.0.0.1:${port}`;
    throw new WireError('unavailable', { tried, answered, next: 'choose another port' }, { cause });
  }
}

/** Open keep-alive connections would hold an ordinary close for seconds. */
async function closeNow(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

function toIam(
  settings: Settings,
  controls: IamControls,
  issued: IssuedSecrets,
  closers: Closers,
): Iam {
  const { issuer, people } = settings;
  const page = (userCodeOrUri: string): string =>
    URL.canParse(userCodeOrUri) ? userCodeOrUri : new URL('/device', issuer).href;
  const code = (userCodeOrUri: string): string =>
    URL.canParse(userCodeOrUri)
      ? (new URL(userCodeOrUri).searchParams.get('user_code') ?? '')
      : userCodeOrUri;
  return {
    ...controls,
    issuer,
    issuedSecrets: () => issued.all,
    approve: async (userCodeOrUri, userName, signal) =>
      await approveInBrowser(
        page(userCodeOrUri),
        code(userCodeOrUri),
        userName,
        people.byName(userName)?.password,
        signal,
      ),
    deny: async (userCodeOrUri, userName, signal) =>
      await denyInBrowser(
        page(userCodeOrUri),
        code(userCodeOrUri),
        userName,
        people.byName(userName)?.password,
        signal,
      ),
    [Symbol.asyncDispose]: async () => await closers[Symbol.asyncDispose](),
  };
}
