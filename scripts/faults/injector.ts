/** Carries out what a plan says: each fault at its time, and away again after it. */
import { systemClock } from '../../src/lib/clock.ts';
import { type Fault, nameOf, type PlannedFault } from './fault.ts';
import type { FaultyMount } from './faulty-mount.ts';
import type { FaultSite } from './site.ts';

/** More requests than an IAM gets in a round. */
const ALL = 100_000;
const SLOW_MS = 3_000;
/** A mount that is refused is tried again after. */
const PAUSE_MS = 500;
const STARTING_MS = 90_000;

export class Injector {
  readonly #site: FaultSite;
  readonly #mount: FaultyMount;
  readonly #say: (line: string) => void;
  /** Of the whole run: a mount that is replaced is there before anybody looks. */
  readonly #signal: AbortSignal;
  /** One mount at a time takes the place of a dead one. */
  #remounting: Promise<void> = Promise.resolve();
  #loggedOut = false;

  constructor(
    site: FaultSite,
    mount: FaultyMount,
    say: (line: string) => void,
    signal: AbortSignal,
  ) {
    this.#site = site;
    this.#mount = mount;
    this.#say = say;
    this.#signal = signal;
  }

  /** Ends with the last fault, or when `signal` aborts. */
  async run(plan: readonly PlannedFault[], signal: AbortSignal): Promise<void> {
    await Promise.all(
      plan.map(async ({ fault, atMs, forMs }) => {
        await systemClock.sleep(atMs, signal);
        this.#say(`${nameOf(fault)} for ${forMs} ms`);
        await this.#begin(fault);
        await systemClock.sleep(forMs, signal).catch(() => undefined); // it is taken away all the same
        await this.#end(fault);
      }),
    );
  }

  /** All is well again, and the mount is there. */
  async calm(signal: AbortSignal): Promise<void> {
    const { proxy, store, disk } = this.#site;
    proxy.rules.clear();
    proxy.away = false;
    proxy.frozen = false;
    store.iam.clearFaults();
    await disk?.empty();
    await this.#mount.setClock(0);
    // A mount that takes the place of a dead one may wait for it.
    if (this.#loggedOut) await this.#site.login(signal);
    this.#loggedOut = false;
    await this.#remounting;
    if (!this.#mount.isRunning) await this.#remount(signal);
  }

  async #begin(fault: Fault): Promise<void> {
    const { proxy, store, disk } = this.#site;
    if (fault.on === 'requests') {
      proxy.rules.add(fault);
      return;
    }
    proxy.rules.count(nameOf(fault));
    switch (fault.on) {
      case 'store':
        if (fault.what === 'away') proxy.away = true;
        else proxy.frozen = true;
        return;
      case 'iam':
        this.#trouble(fault.what);
        return;
      case 'login':
        if (fault.what === 'revoked') {
          this.#loggedOut = true;
          store.iam.revokeAll();
        } else await store.iam.rotateKey(true);
        return;
      case 'lease':
        store.expireLeases?.();
        return;
      case 'clock':
        await this.#mount.setClock(fault.seconds);
        return;
      case 'disk':
        await disk?.fill();
        return;
      case 'process':
        this.#remounting = this.#remounting.then(async () => {
          await this.#mount.kill();
          await this.#remount(this.#signal);
        });
        await this.#remounting;
    }
  }

  #trouble(what: Extract<Fault, { readonly on: 'iam' }>['what']): void {
    const { iam } = this.#site.store;
    const all = { endpoint: 'any', times: ALL } as const;
    if (what === 'away') iam.addFault({ ...all, drop: 'before' });
    else if (what === 'slow') iam.addFault({ ...all, delayMs: SLOW_MS });
    else if (what === 'busy') iam.addFault({ ...all, status: 503 });
    else if (what === 'pages')
      iam.addFault({ ...all, status: 200, body: '<html>Please wait</html>' });
    else {
      // A rotated refresh token that nobody has seen ends the login (RFC 9700, section 4.14).
      this.#loggedOut = true;
      iam.addFault({ endpoint: 'token', times: 2, drop: 'after' });
    }
  }

  async #end(fault: Fault): Promise<void> {
    const { proxy, store, disk } = this.#site;
    if (fault.on === 'requests') proxy.rules.remove(fault);
    else if (fault.on === 'store' && fault.what === 'away') proxy.away = false;
    else if (fault.on === 'store') proxy.frozen = false;
    else if (fault.on === 'iam') store.iam.clearFaults();
    else if (fault.on === 'clock') await this.#mount.setClock(0);
    else if (fault.on === 'disk') await disk?.empty();
  }

  /** Until one serves: faults may be in its way, too. */
  async #remount(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + STARTING_MS;
    for (;;) {
      const why = await this.#mount.start(signal);
      if (why === undefined) return;
      this.#say(`no mount yet: ${why.split('\n')[0] ?? ''}`);
      if (performance.now() > deadline) throw new Error(`it cannot be mounted again: ${why}`);
      await systemClock.sleep(PAUSE_MS, signal);
    }
  }
}
