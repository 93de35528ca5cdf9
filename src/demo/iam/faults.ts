/** Faults to order: what the next requests of an endpoint get instead of, or besides, an answer. */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { type IamEndpoint, iamEndpoints } from './dialect-server.ts';

export interface IamFault {
  readonly endpoint: IamEndpoint | 'any';
  /** How many requests are hit; default 1. */
  readonly times?: number;
  /** Waits first. */
  readonly delayMs?: number;
  /** Answers this without doing anything. */
  readonly status?: number;
  /** Body of that answer: an object becomes JSON, a string HTML. Default: empty. */
  readonly body?: string | Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Cuts the connection: `before` the request is worked on, or `after` it took effect, so that the
   * answer is lost (a rotated refresh token that the client never saw).
   */
  readonly drop?: 'before' | 'after';
}

interface ArmedFault {
  readonly fault: IamFault;
  left: number;
}

export class Faults {
  readonly #clock: Clock;
  #armed: readonly ArmedFault[] = [];
  readonly #counts = new Map<IamEndpoint, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Requests that arrived so far, hit by a fault or not. */
  get counters(): Readonly<Record<IamEndpoint, number>> {
    const entries = iamEndpoints.map((endpoint) => [endpoint, this.#counts.get(endpoint) ?? 0]);
    return Object.fromEntries(entries) as Record<IamEndpoint, number>;
  }

  resetCounters(): void {
    this.#counts.clear();
  }

  /** Faults of one endpoint are used up in the order in which they were added. */
  add(fault: IamFault): void {
    this.#armed = [...this.#armed, { fault, left: fault.times ?? 1 }];
  }

  clear(): void {
    this.#armed = [];
  }

  /**
   * Counts a request and lets the next fault have it.
   *
   * @returns whether the request is still to be worked on.
   * @throws `signal.reason` when the server closes during a delay.
   */
  async meet(
    endpoint: IamEndpoint,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<boolean> {
    this.#counts.set(endpoint, (this.#counts.get(endpoint) ?? 0) + 1);
    const fault = this.#take(endpoint);
    if (fault === undefined) return true;
    if (fault.delayMs !== undefined) await this.#clock.sleep(fault.delayMs, signal);
    if (fault.drop === 'before') {
      response.destroy();
      return false;
    }
    if (fault.drop === 'after') loseReply(response);
    if (fault.status === undefined) return true;
    const { body = '' } = fault;
    const isText = typeof body === 'string';
    const type = isText ? 'text/html; charset=utf-8' : 'application/json';
    response.writeHead(fault.status, { 'content-type': type, ...fault.headers });
    response.end(isText ? body : JSON.stringify(body));
    return false;
  }

  #take(endpoint: IamEndpoint): IamFault | undefined {
    const hit = this.#armed.find(
      ({ fault, left }) => left > 0 && (fault.endpoint === endpoint || fault.endpoint === 'any'),
    );
    if (hit === undefined) return undefined;
    hit.left -= 1;
    this.#armed = this.#armed.filter(({ left }) => left > 0);
    return hit.fault;
  }
}

/** Lets the handler finish as ever, and the client see a cut connection. */
function loseReply(response: ServerResponse): void {
  response.write = () => true;
  response.end = () => response.destroy();
}
