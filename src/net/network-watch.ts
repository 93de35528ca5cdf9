/**
 * Notices that this machine was asleep or has other addresses than before. There is no portable
 * event for either, so it looks every two seconds (50 µs each).
 */
import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../lib/clock.ts';

export interface NetworkChange {
  /** The machine, or this process, stood still for a while: whoever is at the other end may be gone. */
  readonly slept: boolean;
  /** Addresses that this machine has no more. */
  readonly lost: ReadonlySet<string>;
}

/** Whether a connection is dead, or will never come about, after `change`. */
export function breaks(socket: Socket, { slept, lost }: NetworkChange): boolean {
  const { connecting, localAddress } = socket;
  return slept || connecting || localAddress === undefined || lost.has(localAddress);
}

/** What one look saw. */
export interface Look {
  readonly wallMs: number;
  readonly monotonicMs: number;
  readonly addresses: ReadonlySet<string>;
}

const LOOK_EVERY_MS = 2000;
/** A look later than this was not held up by work. Servers keep idle connections for longer. */
const SLEPT_MS = 10_000;

/**
 * What happened between two looks; undefined: nothing that matters. The monotonic clock stands
 * still in a suspended machine, and the wall clock goes on; a stopped process misses both.
 */
export function changeBetween(before: Look, now: Look): NetworkChange | undefined {
  const passedMs = Math.max(now.wallMs - before.wallMs, now.monotonicMs - before.monotonicMs);
  const slept = passedMs - LOOK_EVERY_MS >= SLEPT_MS;
  const lost = new Set([...before.addresses].filter((address) => !now.addresses.has(address)));
  const gained = [...now.addresses].some((address) => !before.addresses.has(address));
  return slept || gained || lost.size > 0 ? { slept, lost } : undefined;
}

/**
 * The addresses by which this machine reaches others. Not loopback, nor link-local IPv6: those
 * come and go with every container.
 */
export function machineAddresses(): ReadonlySet<string> {
  const addresses = new Set<string>();
  for (const entries of Object.values(networkInterfaces())) {
    for (const { address, internal } of entries ?? []) {
      if (!internal && !/^fe[89ab]/i.test(address)) addresses.add(address);
    }
  }
  return addresses;
}

export interface NetworkWatchOptions {
  readonly clock: Clock;
  readonly addresses: () => ReadonlySet<string>;
  /** Must not throw. */
  readonly changed: (change: NetworkChange) => void;
}

/** Looks from its making until it is disposed. */
export class NetworkWatch implements AsyncDisposable {
  readonly #options: NetworkWatchOptions;
  readonly #closing = new AbortController();
  readonly #looking: Promise<void>;

  constructor(options: NetworkWatchOptions) {
    this.#options = options;
    this.#looking = this.#lookOften(this.#closing.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#looking;
  }

  async #lookOften(signal: AbortSignal): Promise<void> {
    const { clock, changed } = this.#options;
    let before = this.#look();
    while (!signal.aborted) {
      try {
        await clock.sleep(LOOK_EVERY_MS, signal);
      } catch {
        return;
      }
      const now = this.#look();
      const change = changeBetween(before, now);
      before = now;
      if (change !== undefined) changed(change);
    }
  }

  #look(): Look {
    const { clock, addresses } = this.#options;
    return { wallMs: clock.now(), monotonicMs: clock.monotonic(), addresses: addresses() };
  }
}
