/**
 * Where one process takes requests for mounts: it gets what they need, mounts, keeps a note of each
 * mount for as long as it is there, and gives everything back afterwards.
 */
import { resolveMountPoint } from '../fuse/linux/mount-point.ts';
import { WireError } from '../lib/wire-error.ts';
import type { ProcessStatus } from './control-protocol.ts';
import type { KeptMount, MountOrder } from './kept-mount.ts';
import { metricsText, processFigures } from './metrics.ts';
import { forgetMount, noteMount } from './mount-notes.ts';
import { Mounts } from './mounts.ts';
import type { Caller, MountsAsked } from './mounts-asked.ts';
import type { MountsRequest } from './mounts-request.ts';
import { isPassedDescriptor } from './passed-descriptor.ts';
import { type PartsLease, type ProcessFacts, SharedParts } from './shared-parts.ts';
import { YoungGeneration } from './young-generation.ts';

/** How one mount was asked for. */
interface Asked {
  /** Of that one mount. */
  readonly request: MountsRequest;
  readonly caller: Caller;
}

/** Mounts that were asked for together, and what they are made with. */
interface Group {
  readonly lease: PartsLease;
  /** Mounts, and whoever may need it yet. */
  users: number;
}

export class MountDesk implements AsyncDisposable {
  readonly mounts: Mounts;
  readonly #facts: ProcessFacts;
  readonly #shared: SharedParts;
  readonly #startedMs: number;
  readonly #kept = new Map<KeptMount, { readonly group: Group; readonly asked: Asked }>();
  /** What is being given back. */
  readonly #ending = new Set<Promise<void>>();
  /** Notes are written and removed one after the other: the later one says how it is. */
  #noting: Promise<void> = Promise.resolve();
  readonly #young = new YoungGeneration();
  readonly #dying: Disposable;

  constructor(facts: ProcessFacts, warn: (line: string) => void) {
    this.#facts = facts;
    this.#startedMs = facts.clock.now();
    this.mounts = new Mounts(facts.log);
    this.#shared = new SharedParts({ facts, warn, metrics: () => this.metrics() });
    this.#young.hold();
    this.#dying = facts.atExit(() => this.mounts.crash());
  }

  get status(): ProcessStatus {
    const { pid, version } = this.#facts;
    const { status: mounts } = this.mounts;
    return { pid, version, startedMs: this.#startedMs, mounts, watching: this.#shared.status };
  }

  /** In the text format of Prometheus. */
  metrics(): string {
    const { auditFailures, accessDropped } = this.#shared;
    const { version } = this.#facts;
    const facts = { version, startedMs: this.#startedMs, auditFailures, accessDropped };
    return metricsText(processFigures(facts), this.mounts.watched);
  }

  /**
   * Mounts what `request` says: all of it, or nothing is left behind.
   *
   * @throws WireError of what could not be had or mounted.
   */
  async open(
    request: MountsRequest,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<readonly KeptMount[]> {
    const lease = await this.#shared.open(request.settings, caller, request.mounts, signal);
    const group = { lease, users: 1 };
    try {
      const added = await this.mounts.add(ordersOf(request, lease), signal);
      const asked = apart(request, caller);
      added.forEach((mount, at) => this.#keep(mount, group, asked[at]));
      return added;
    } finally {
      await this.#leave(group);
    }
  }

  /**
   * The same where something is mounted already: that is saved and taken away first, once all is
   * there that the new one needs. If then the new one cannot be made, the old one is mounted again.
   *
   * @throws WireError as `open`, and as `LiveMount.stop`: then the old one goes on.
   */
  async replace(asked: MountsAsked, signal: AbortSignal): Promise<readonly KeptMount[]> {
    const { request, caller } = asked;
    const lease = await this.#shared.open(request.settings, caller, request.mounts, signal);
    const group = { lease, users: 1 };
    try {
      const added: KeptMount[] = [];
      const each = apart(request, caller);
      for (const [at, order] of ordersOf(request, lease).entries()) {
        const mount = await this.#replaceOne(order, signal);
        this.#keep(mount, group, each[at]);
        added.push(mount);
      }
      return added;
    } finally {
      await this.#leave(group);
    }
  }

  /** Resolves when all that has ended is given back. */
  async settled(): Promise<void> {
    while (this.#ending.size > 0) await Promise.all(this.#ending);
    await this.#noting;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled();
    this.#young[Symbol.dispose]();
    this.#dying[Symbol.dispose]();
  }

  async #replaceOne(order: MountOrder, signal: AbortSignal): Promise<KeptMount> {
    const path = await resolveMountPoint(order.spec.mountPoint);
    const old = this.mounts.at(path);
    const kept = old && this.#kept.get(old);
    if (old === undefined || kept === undefined) return await this.#addOne(order, signal);
    kept.group.users += 1;
    try {
      await old.stop('wait', signal);
      try {
        return await this.#addOne(order, signal);
      } catch (error) {
        await this.#restore(old, kept.group, kept.asked);
        throw error;
      }
    } finally {
      await this.#leave(kept.group);
    }
  }

  async #addOne(order: MountOrder, signal: AbortSignal): Promise<KeptMount> {
    const [mount] = await this.mounts.add([order], signal);
    if (mount !== undefined) return mount;
    throw new WireError('internal', { tried: 'mount', answered: 'there is no mount' });
  }

  /** Whoever asked is told why the new one is not there. */
  async #restore(old: KeptMount, group: Group, asked: Asked): Promise<void> {
    const { signal } = new AbortController();
    const { log } = this.#facts;
    const { mountPoint } = old;
    try {
      this.#keep(await this.#addOne(old.order, signal), group, asked);
      log.warn('mounted again as it was', { mountPoint });
    } catch (error) {
      log.error('not mounted again', { mountPoint, error });
    }
  }

  #keep(mount: KeptMount, group: Group, asked: Asked | undefined): void {
    if (asked === undefined) return;
    const { mountPoint } = mount;
    const { stateDir } = asked.caller.paths;
    // Whoever passed a descriptor has to pass another one.
    if (!isPassedDescriptor(mountPoint)) {
      const note = { mountPoint, request: asked.request };
      this.#note(async () => await noteMount(stateDir, note));
    }
    group.users += 1;
    this.#kept.set(mount, { group, asked });
    const ending = mount.ended.then(async () => {
      this.#kept.delete(mount);
      // Where the mount is still there, dead, the note tells how to make it anew.
      if (!mount.gaveUp) this.#note(async () => await forgetMount(stateDir, mountPoint));
      await this.#leave(group);
    });
    const told = ending
      .catch((error: unknown) => this.#facts.log.error('not given back', { error }))
      .finally(() => this.#ending.delete(told));
    this.#ending.add(told);
  }

  async #leave(group: Group): Promise<void> {
    group.users -= 1;
    if (group.users === 0) await group.lease[Symbol.asyncDispose]();
  }

  /** Without a note the mount is as good; only a remount after a crash needs it. */
  #note(work: () => Promise<void>): void {
    this.#noting = this.#noting.then(work).catch((error: unknown) => {
      this.#facts.log.warn('note of a mount', { error });
    });
  }
}

function ordersOf(request: MountsRequest, { parts, connection }: PartsLease): MountOrder[] {
  const { allowOther, makeDirectory, options, transport } = request;
  const { stopTimeoutMs } = request.settings;
  return request.mounts.map((pair) => ({
    parts,
    spec: {
      ...pair,
      connection,
      allowOther,
      makeDirectory,
      ...(options !== undefined && { options }),
      ...(transport !== undefined && { transport }),
      ...(stopTimeoutMs !== undefined && { stopTimeoutMs }),
    },
  }));
}

/** One request for each mount. */
function apart(request: MountsRequest, caller: Caller): readonly Asked[] {
  return request.mounts.map((pair) => ({ request: { ...request, mounts: [pair] }, caller }));
}
