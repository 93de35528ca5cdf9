/**
 * The control socket of one process that mounts, in the runtime folder. The folder lets nobody
 * else in (0700, checked), and who connects must be the socket's owner or root. Requests are small,
 * few and quick, or they are cut; so are connections on which nobody takes the answer.
 */
import { once } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Log } from '../lib/log.ts';
import { WireError } from '../lib/wire-error.ts';
import { ControlConnections } from './control-connections.ts';
import {
  DaemonEnds,
  ENDING_STATUS,
  type FilesLine,
  type FilesRequest,
  MAX_MOUNTS_BYTES,
  MAX_REQUEST_BYTES,
  type MountsAnswer,
  type ProcessStatus,
  REQUEST_ID,
  REQUEST_MS,
  readFilesRequest,
  readUnmountRequest,
  refusalOf,
  type UnmountRequest,
} from './control-protocol.ts';
import { METRICS_TYPE } from './metrics-text.ts';
import type { FileProgress } from './mount-parts.ts';
import { type MountsAsked, readMountsAsked } from './mounts-asked.ts';
import { peerUidOf } from './peer.ts';

/** sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, with the NUL. */
const MAX_SOCKET_PATH_BYTES = 103;

/** Head of an answer that comes line by line. */
const LINES = { 'content-type': 'application/x-ndjson', connection: 'close' };

/** The suffix by which a client finds sockets. */
export const socketSuffix = '.sock';

/** `daemon` takes requests for mounts; `mounts` serves those that it was started with. */
export type ProcessKind = 'daemon' | 'mounts';

/** What the socket's owner does when asked. */
export interface ControlVerbs {
  status(): ProcessStatus;
  /** In the text format of Prometheus. */
  metrics(): string;
  unmount(request: UnmountRequest, signal: AbortSignal): Promise<void>;
  mounts(asked: MountsAsked, signal: AbortSignal): Promise<MountsAnswer>;
  files(
    request: FilesRequest,
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<FileProgress>;
}

export interface ControlServerOptions {
  readonly runtimeDir: string;
  readonly pid: number;
  /** Which kind of process this is. Default: one in the foreground. */
  readonly kind?: ProcessKind;
  readonly verbs: ControlVerbs;
  readonly log: Log;
  /** Time for a request to arrive, and for its answer to be taken; default `REQUEST_MS`. */
  readonly requestMs?: number;
  /** Who is at the other end; undefined where that cannot be said. Default: as the system says. */
  readonly peerUid?: (socket: Socket) => number | undefined;
}

export class ControlServer implements AsyncDisposable {
  readonly path: string;
  readonly #server: Server;
  readonly #verbs: ControlVerbs;
  readonly #log: Log;
  readonly #connections = new ControlConnections();
  /** Requests for mounts that are in hand, by `REQUEST_ID`. */
  readonly #mounting = new Map<string, AbortController>();
  /** Requests that are being answered. */
  readonly #answering = new Set<Promise<void>>();
  readonly #timeLimit: number;

  private constructor(path: string, options: ControlServerOptions) {
    const timeLimit = options.requestMs ?? REQUEST_MS;
    this.path = path;
    this.#timeLimit = timeLimit;
    this.#verbs = options.verbs;
    this.#log = options.log;
    this.#server = createServer(
      {
        requestTimeout: timeLimit,
        headersTimeout: timeLimit,
        connectionsCheckingInterval: Math.min(1000, timeLimit),
        maxHeaderSize: 4096,
        keepAlive: false,
      },
      (request, response) => {
        const answering = this.#answer(request, response).finally(() => {
          this.#answering.delete(answering);
        });
        this.#answering.add(answering);
      },
    );
    // What is sent behind a request is not looked at.
    this.#server.maxRequestsPerSocket = 1;
    const { peerUid = peerUidOf } = options;
    this.#server.on('connection', (socket: Socket) => {
      socket.unref();
      if (!isWelcome(peerUid(socket))) {
        this.#log.warn('control connection refused', { uid: peerUid(socket) });
        socket.destroy();
      } else this.#connections.admit(socket);
    });
  }

  /** @throws WireError `config` when the socket cannot be made. */
  static async listen(options: ControlServerOptions): Promise<ControlServer> {
    const { runtimeDir, kind = 'mounts', pid } = options;
    const path = join(runtimeDir, `${kind}-${pid}${socketSuffix}`);
    const tried = `make the control socket ${path}`;
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      const next = 'set WIRE_RUNTIME_DIR to a shorter path';
      throw new WireError('config', { tried, answered: 'the path is too long', next });
    }
    const control = new ControlServer(path, options);
    // Between bind(2) and listen(2) it refuses, and would count as that of a dead process: its name is
    // given to it when it listens. Another one there is of an earlier process with our number.
    const draft = join(runtimeDir, `.${kind}-${pid}`);
    await rm(draft, { force: true });
    control.#server.listen(draft);
    try {
      await once(control.#server, 'listening');
      await rename(draft, path);
    } catch (error) {
      const answered = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new WireError('config', { tried, answered }, { cause: error });
    }
    return control;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    // The answer to the unmount that ended us is let out first.
    await Promise.all(this.#answering);
    this.#server.closeAllConnections();
    await closed;
    await rm(this.path, { force: true });
  }

  /** Never rejects. Resolves when the answer is out or nobody waits for it any more. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    // A request that was cut off has none any more.
    const { socket } = request;
    const closed = new Promise<void>((resolve) => {
      response.once('close', () => {
        gone.abort();
        resolve();
      });
    });
    try {
      refuseForeign(request);
      const verb = verbOf(request);
      const body = await readBody(request, mostBytesOf(verb));
      if (verb.startsWith('POST')) this.#connections.work(socket, verb === 'POST /unmount');
      if (verb === 'POST /files') await this.#tend(body, response, gone.signal);
      else if (verb === 'GET /metrics') {
        sendText(response, 200, METRICS_TYPE, this.#verbs.metrics());
      } else {
        const id = headerOf(request, REQUEST_ID);
        send(response, 200, await this.#do(verb, { body, id }, gone));
      }
    } catch (error) {
      this.#log.debug('control request refused', { error });
      send(response, statusOf(error), refusalOf(error));
    }
    this.#connections.answered(socket);
    // The work may take as long as it likes, but not the taking of its answer.
    socket.setTimeout(this.#timeLimit, () => socket.destroy());
    await closed;
  }

  /** Answers line by line; once the first is out, a refusal is a line too. */
  async #tend(body: string, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const asked = readFilesRequest(body);
    const say = (line: FilesLine): void => {
      if (!response.headersSent) response.writeHead(200, LINES);
      if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`);
    };
    try {
      const done = await this.#verbs.files(asked, (progress) => say({ progress }), signal);
      say({ done });
    } catch (error) {
      if (!response.headersSent) throw error;
      say({ refusal: refusalOf(error) });
    }
    response.end();
  }

  async #do(
    verb: string,
    { body, id }: { readonly body: string; readonly id: string },
    gone: AbortController,
  ): Promise<unknown> {
    switch (verb) {
      case 'GET /status':
        return this.#verbs.status();
      case 'POST /unmount':
        await this.#verbs.unmount(readUnmountRequest(body), gone.signal);
        return {};
      case 'POST /mounts':
        return await this.#mount(id, readMountsAsked(body), gone);
      case 'DELETE /mounts':
        this.#takeBack(id);
        return {};
      default:
        throw new WireError('usage', { tried: `do ${verb}`, answered: 'there is no such verb' });
    }
  }

  async #mount(id: string, asked: MountsAsked, gone: AbortController): Promise<MountsAnswer> {
    this.#mounting.set(id, gone);
    try {
      return await this.#verbs.mounts(asked, gone.signal);
    } finally {
      this.#mounting.delete(id);
    }
  }

  /** Whoever asked for the mounts hears when they are undone. */
  #takeBack(id: string): void {
    const mounting = this.#mounting.get(id);
    if (mounting === undefined) {
      const answered = 'there is no such request';
      throw new WireError('not-found', { tried: 'take mounts back', answered });
    }
    mounting.abort();
  }
}

function statusOf(error: unknown): number {
  if (error instanceof DaemonEnds) return ENDING_STATUS;
  return error instanceof WireError ? 400 : 500;
}

/** The owner, and root, from whom nothing is hidden anyway. */
function isWelcome(uid: number | undefined): boolean {
  return uid === undefined || uid === 0 || uid === process.geteuid?.();
}

/**
 * No browser can reach a Unix socket, but a proxy that a page talks to can: neither another name
 * than that of this machine, nor a request that says which page it is from, is one of ours.
 *
 * @throws WireError `usage`.
 */
function refuseForeign({ headers }: IncomingMessage): void {
  const { host = '', origin } = headers;
  const isOurs = host === 'localhost' && origin === undefined;
  if (isOurs && headers['sec-fetch-site'] === undefined) return;
  throw new WireError('usage', { tried: 'control mounts', answered: 'another Host, or an Origin' });
}

function verbOf({ method = '', url = '' }: IncomingMessage): string {
  return `${method} ${url}`;
}

function headerOf({ headers }: IncomingMessage, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

function mostBytesOf(verb: string): number {
  return verb === 'POST /mounts' ? MAX_MOUNTS_BYTES : MAX_REQUEST_BYTES;
}

async function readBody(request: IncomingMessage, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) {
      throw new WireError('usage', { tried: 'read the request', answered: 'it is too large' });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, 'application/json', JSON.stringify(body));
}

function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, { 'content-type': type, connection: 'close' });
  response.end(text);
}
