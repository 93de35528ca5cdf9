/** Pools of connections for `node:http` and `node:https` whose connections a `Connector` makes. */
import { type ClientRequestArgs, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connector } from './connector.ts';
import type { Target } from './target.ts';

type Made = (error: Error | null, stream: Duplex) => void;

/** Where a pool has its connections from. */
export class ConnectionSupply {
  readonly #connector: Connector;
  readonly #target: Target;
  readonly #ended: () => void;
  #open = true;

  /** @param ended called when the pool's owner destroys it. */
  constructor(connector: Connector, target: Target, ended: () => void) {
    this.#connector = connector;
    this.#target = target;
    this.#ended = ended;
  }

  end(): void {
    this.#open = false;
    this.#ended();
  }

  /**
   * Returned at once, or handed to `made`. Node counts a socket only when it has it: through a proxy
   * a burst may open more than `maxSockets`, one for each request at most.
   */
  connect(made: Made | undefined): Socket | undefined {
    const fail = (error: unknown): void => {
      // Node's signature has no stream-less form; it looks at the error first.
      (made as ((error: Error) => void) | undefined)?.(asError(error));
    };
    try {
      const socket = this.#connector.connect(this.#target);
      if (!(socket instanceof Promise)) return socket;
      socket.then((later) => {
        if (this.#open) {
          made?.(null, later);
          return;
        }
        later.destroy();
        fail(new Error('the connections were closed'));
      }, fail);
    } catch (error) {
      fail(error);
    }
    return undefined;
  }
}

export class ConnectedHttpAgent extends HttpAgent {
  readonly #supply: ConnectionSupply;

  constructor(supply: ConnectionSupply, maxSockets: number) {
    super(poolOptions(maxSockets));
    this.#supply = supply;
  }

  override createConnection(_: ClientRequestArgs, made?: Made): Socket | undefined {
    return this.#supply.connect(made);
  }

  override destroy(): void {
    super.destroy();
    this.#supply.end();
  }
}

export class ConnectedHttpsAgent extends HttpsAgent {
  readonly #supply: ConnectionSupply;

  constructor(supply: ConnectionSupply, maxSockets: number) {
    super(poolOptions(maxSockets));
    this.#supply = supply;
  }

  override createConnection(_: RequestOptions, made?: Made): Socket | undefined {
    return this.#supply.connect(made);
  }

  override destroy(): void {
    super.destroy();
    this.#supply.end();
  }
}

/** The last one used is used again first: the others age and are closed by the server. */
function poolOptions(maxSockets: number): {
  readonly keepAlive: boolean;
  readonly maxSockets: number;
  readonly scheduling: 'lifo';
} {
  return { keepAlive: true, maxSockets, scheduling: 'lifo' };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Closes the connections that no request uses: the next request makes a new one. */
export function dropIdle(agent: HttpAgent): void {
  for (const socket of listed(agent.freeSockets)) socket.destroy();
}

/** As `dropIdle`, and those in use that `isDead` says so: their requests fail with ECONNRESET. */
export function dropDead(agent: HttpAgent, isDead: (socket: Socket) => boolean): void {
  dropIdle(agent);
  for (const socket of listed(agent.sockets)) if (isDead(socket)) socket.destroy();
}

/** Destroying a socket takes it out of the list: a copy. */
function listed(sockets: NodeJS.ReadOnlyDict<Socket[]>): readonly Socket[] {
  return Object.values(sockets).flatMap((list) => list ?? []);
}
