/**
 * What the page is told, once a second and whenever something changes: the status as `wire status
 * --json` has it, with what is under way on the page.
 */
import { LinkedAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { CacheUsage } from '../content-cache.ts';
import type { LeftFile } from '../left-behind.ts';
import type { Status } from '../status.ts';
import type { LoginWork } from './login-work.ts';
import type { PageHost } from './page-host.ts';
import type { PageWorks, UnderWay } from './page-works.ts';
import { type Sample, Throughput } from './throughput.ts';

/** Between two looks, ms. */
const LOOK_MS = 1000;
/** Logins, what is left behind and the cache take longer: a keychain, a folder. As `wire status`. */
const LOOKS_A_LOGIN = 30;

export interface PageNews {
  /** Ms since the epoch: the clock that all times here are of. */
  readonly nowMs: number;
  readonly status?: Status;
  /** Why the status is not what it should be. */
  readonly trouble?: string;
  readonly left?: readonly LeftFile[];
  readonly cache?: CacheUsage;
  readonly login?: LoginWork['state'];
  readonly underWay: readonly UnderWay[];
  /** Since the news before; with the first of a page, all that is remembered. */
  readonly samples: readonly Sample[];
}

interface Slow {
  readonly left?: readonly LeftFile[];
  readonly cache?: CacheUsage;
}

export class NewsDesk {
  readonly #host: PageHost;
  readonly #clock: Clock;
  readonly #lineOf: (error: unknown) => string;
  readonly #throughput = new Throughput();
  readonly #readers = new Set<(news: PageNews) => void>();
  readonly #work: { readonly login: LoginWork; readonly works: PageWorks };
  #status: Status | undefined;
  #slow: Slow = {};
  #trouble: string | undefined;
  #pause: LinkedAbort | undefined;
  /** The next look takes in all. */
  #isStale = true;

  constructor(
    host: PageHost,
    work: { readonly login: LoginWork; readonly works: PageWorks },
    clock: Clock,
    lineOf: (error: unknown) => string,
  ) {
    this.#host = host;
    this.#work = work;
    this.#clock = clock;
    this.#lineOf = lineOf;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** The last known; for what may be asked of a mount. */
  get status(): Status | undefined {
    return this.#status;
  }

  /** Tells `reader` all there is, and then what is new until disposed. */
  subscribe(reader: (news: PageNews) => void): Disposable {
    this.#readers.add(reader);
    reader(this.#news(this.#throughput.history));
    return { [Symbol.dispose]: () => void this.#readers.delete(reader) };
  }

  /** Something on the page has changed. */
  publish(samples: readonly Sample[] = []): void {
    if (this.#readers.size === 0) return;
    const news = this.#news(samples);
    for (const reader of this.#readers) reader(news);
  }

  /** Something was done: all of it is looked at anew, now. */
  lookAgain(): void {
    this.#isStale = true;
    this.#pause?.abort();
  }

  /** Looks again and again until `signal` aborts or `isOver` says so; never rejects. */
  async run(isOver: () => boolean, signal: AbortSignal): Promise<void> {
    for (let looks = 0; !signal.aborted && !isOver(); looks += 1) {
      using pause = new LinkedAbort(signal);
      this.#pause = pause;
      if (looks % LOOKS_A_LOGIN === 0) this.#isStale = true;
      const sample = await this.#look(signal);
      this.publish(sample === undefined ? [] : [sample]);
      // Cut short by `lookAgain` and by the end.
      await this.#clock.sleep(LOOK_MS, pause.signal).catch(() => undefined);
    }
  }

  async #look(signal: AbortSignal): Promise<Sample | undefined> {
    try {
      const before = this.#status;
      const isWhole = before === undefined || this.#isStale;
      this.#isStale = false;
      const status = isWhole
        ? await this.#host.status(signal)
        : await this.#host.statusAgain(before, signal);
      this.#status = status;
      if (isWhole) this.#slow = await this.#lookSlowly(status, signal);
      this.#trouble = undefined;
      return this.#throughput.add(status, this.#clock.monotonic(), this.#clock.now());
    } catch (error) {
      if (!signal.aborted) this.#trouble = this.#lineOf(error);
      return undefined;
    }
  }

  async #lookSlowly({ left }: Status, signal: AbortSignal): Promise<Slow> {
    // One of them that cannot be read must not hide the rest.
    const cache = await this.#host.cacheUsage(signal).catch(() => undefined);
    const files = left === undefined ? [] : await this.#host.listLeft(signal).catch(() => []);
    return {
      ...(cache !== undefined && { cache }),
      ...(files.length > 0 && { left: files }),
    };
  }

  #news(samples: readonly Sample[]): PageNews {
    const login = this.#work.login.state;
    return {
      nowMs: this.#clock.now(),
      ...(this.#status !== undefined && { status: this.#status }),
      ...(this.#trouble !== undefined && { trouble: this.#trouble }),
      ...this.#slow,
      ...(login !== undefined && { login }),
      underWay: this.#work.works.all,
      samples,
    };
  }
}
