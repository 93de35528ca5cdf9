/**
 * Tells the one who started this process as a service how it is: sd_notify(3). Datagrams to the
 * socket that NOTIFY_SOCKET names; nothing happens where there is none. What is told names mount
 * points and numbers, never a secret.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { loadAddon } from '../lib/native-addon.ts';

/** Sends `text` to the socket at `path`; a negative errno when it cannot. */
export type Notify = (path: string, text: string) => number;

/** What of the addon is used here; see native/linux/service.h. */
interface ServiceAddon {
  /** Absent in an addon of an earlier version. */
  readonly notifyService?: Notify;
}

export interface ServiceNotifierOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: the addon's. */
  readonly notify?: Notify;
}

export class ServiceNotifier implements AsyncDisposable {
  readonly #options: ServiceNotifierOptions;
  readonly #socket: string | undefined;
  readonly #ended = new AbortController();
  #watching: Promise<void> | undefined;
  #stops = false;

  constructor(options: ServiceNotifierOptions) {
    this.#options = options;
    const { NOTIFY_SOCKET: socket } = options.environment;
    // A path or an abstract name; other kinds (vsock) are for virtual machines.
    this.#socket =
      socket?.startsWith('/') === true || socket?.startsWith('@') === true ? socket : undefined;
  }

  /** Ready to be used; from now on the watchdog is fed, where there is one. */
  ready(status: string): void {
    this.#send(`READY=1\nSTATUS=${oneLine(status)}`);
    const everyMs = this.#watchdogMs;
    if (this.#socket === undefined || everyMs === undefined) return;
    this.#watching ??= this.#feed(everyMs);
  }

  status(text: string): void {
    this.#send(`STATUS=${oneLine(text)}`);
  }

  stopping(): void {
    if (this.#stops) return;
    this.#stops = true;
    this.#send('STOPPING=1');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#watching;
  }

  /** Half of the time after which it counts as hung; undefined where nobody watches this process. */
  get #watchdogMs(): number | undefined {
    const { WATCHDOG_USEC: time = '', WATCHDOG_PID: pid } = this.#options.environment;
    if (!/^[1-9]\d*$/.test(time)) return undefined;
    if (pid !== undefined && pid !== String(this.#options.pid)) return undefined;
    return Number(time) / 2000;
  }

  async #feed(everyMs: number): Promise<void> {
    const { signal } = this.#ended;
    try {
      while (!signal.aborted) {
        this.#send('WATCHDOG=1');
        await this.#options.clock.sleep(everyMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#options.log.error('watchdog not fed', { error });
    }
  }

  /** A service that cannot be told goes on: it is the other one's matter. */
  #send(text: string): void {
    if (this.#socket === undefined) return;
    const { notify = addonNotify, log } = this.#options;
    const result = notify(this.#socket, text);
    if (result < 0) log.warn('service manager not told', { result });
  }
}

/** A line break would begin another variable. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ');
}

function addonNotify(path: string, text: string): number {
  try {
    const { notifyService } = loadAddon() as ServiceAddon;
    // As if the system had no such call.
    return notifyService?.(path, text) ?? -38;
  } catch {
    return -38; // ENOSYS
  }
}
