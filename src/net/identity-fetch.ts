/**
 * `fetch` for exchanges with providers and STS. By the npm package `undici` rather than Node's own
 * copy: its dispatcher and its fetch belong together, whichever Node this is. Loaded at the first
 * exchange (50 ms).
 */
import type { Agent, buildConnector } from 'undici';
import type { Connector } from './connector.ts';
import { targetOf } from './target.ts';

/** For a connection, TLS included. */
const CONNECT_TIMEOUT_MS = 10_000;
/** An idle connection older than this might be dead; exchanges are rarer than that. */
const LONGEST_IDLE_MS = 10_000;

export class IdentityFetch implements AsyncDisposable {
  readonly #connector: Connector;
  #pool: Promise<Agent> | undefined;
  /** Pools that finish what they have under way. */
  readonly #retired = new Set<Agent>();

  constructor(connector: Connector) {
    this.#connector = connector;
  }

  async fetch(url: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
    const { fetch: send } = await import('undici');
    this.#pool ??= this.#newPool();
    const dispatcher = await this.#pool;
    // The two declarations of fetch's types differ in name only.
    const options = { ...init, dispatcher } as Parameters<typeof send>[1];
    const target = typeof url === 'string' || url instanceof URL ? url : url.url;
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- undici's own class of the same interface; nobody asks with instanceof
    return await send(target, options);
  }

  /**
   * The next exchange makes a new connection. One that is under way goes on: it may be a refresh
   * whose answer has arrived already, and to lose that is to lose the login.
   */
  dropIdle(): void {
    const pool = this.#pool;
    this.#pool = undefined;
    pool
      ?.then(async (agent) => {
        this.#retired.add(agent);
        await agent.close();
        this.#retired.delete(agent);
      })
      .catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pool = await this.#pool;
    this.#pool = undefined;
    for (const agent of [...this.#retired, ...(pool === undefined ? [] : [pool])]) {
      await agent.destroy();
    }
  }

  async #newPool(): Promise<Agent> {
    const { Agent: Pool } = await import('undici');
    return new Pool({ connect: this.#connect, keepAliveMaxTimeout: LONGEST_IDLE_MS });
  }

  readonly #connect: buildConnector.connector = ({ protocol, hostname, port }, done) => {
    const usual = protocol === 'https:' ? '443' : '80';
    const target = targetOf(`${protocol}//${hostname}:${port === '' ? usual : port}`);
    this.#connectTo(target).then(
      (socket) => done(null, socket),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), null),
    );
  };

  /** Waits until TLS, or TCP without TLS, has come about. */
  async #connectTo(target: ReturnType<typeof targetOf>): Promise<ConnectedSocket> {
    const socket = await this.#connector.connect(target);
    const ready = target.secure ? 'secureConnect' : 'connect';
    if (!target.secure && !socket.connecting) return socket;
    return await new Promise((resolve, reject) => {
      const late = (): void => void socket.destroy(timeout());
      socket.setTimeout(CONNECT_TIMEOUT_MS, late);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection broke off')));
      socket.once(ready, () => {
        socket.off('timeout', late);
        socket.setTimeout(0);
        socket.off('error', reject);
        resolve(socket);
      });
    });
  }
}

type ConnectedSocket = Awaited<ReturnType<Connector['connect']>>;

function timeout(): Error {
  return Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' });
}
