/**
 * The daemon: one process of a user that mounts for every `wire mount --daemon`. It ends with its
 * last mount. A lock, held for its life, makes it the only one in its runtime folder.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from '../cache/disk-lock.ts';
import { ensurePrivateDir } from '../config/paths.ts';
import { LinkedAbort } from '../lib/abort.ts';
import { Closers } from '../lib/closers.ts';
import { WireError } from '../lib/wire-error.ts';
import { DaemonEnds, type MountsAnswer } from './control-protocol.ts';
import { ControlServer } from './control-server.ts';
import { type KeptMount, leaveAll } from './kept-mount.ts';
import { MountDesk } from './mount-desk.ts';
import { LeftInJournal } from './mount-trouble.ts';
import type { MountsAsked } from './mounts-asked.ts';
import { OrphanReaper } from './orphan-reaper.ts';
import { ServiceNotifier } from './service-notifier.ts';
import type { ProcessFacts } from './shared-parts.ts';
import type { StopSignals } from './stop-signals.ts';
import { Stopper } from './stopper.ts';

/** It was started for somebody, who has asked by then. */
const FIRST_MS = 10_000;
/** Who asked for what could not be mounted may ask again. */
const LINGER_MS = 2_000;
/** A daemon that is ending gives the lock back by then. */
const LOCK_MS = 10_000;
const LOCK_LOOK_MS = 20;

/**
 * Serves until the last mount has ended.
 *
 * @param ready told when it can be asked.
 * @throws WireError `exists` when there is another one; `not-saved` when a mount ended with
 *   something that is in no bucket and no journal.
 */
export async function serveDaemon(
  facts: ProcessFacts,
  ready: () => Promise<void>,
  signals: StopSignals,
  signal: AbortSignal,
): Promise<void> {
  const { runtimeDir } = facts.paths;
  await using closers = new Closers();
  const service = closers.use(new ServiceNotifier(facts));
  closers.use(new OrphanReaper(facts));
  await ensurePrivateDir(runtimeDir, facts.uid, signal);
  const lockFile = join(runtimeDir, 'daemon.lock');
  const lock = await onlyOne(lockFile, facts, signal);
  const daemon = new DaemonProcess(facts, service);
  try {
    await daemon.run(ready, signals, signal);
  } finally {
    await rm(lockFile, { force: true });
    lock[Symbol.dispose]();
  }
}

/** @throws WireError `exists` when another daemon goes on running. */
async function onlyOne(
  lockFile: string,
  { clock }: ProcessFacts,
  signal: AbortSignal,
): Promise<Disposable> {
  const startMs = clock.monotonic();
  for (;;) {
    const lock = tryLock(lockFile);
    if (lock !== undefined) return lock;
    if (clock.monotonic() - startMs > LOCK_MS) {
      const answered = `another one holds ${lockFile}`;
      throw new WireError('exists', { tried: 'start the daemon', answered });
    }
    await clock.sleep(LOCK_LOOK_MS, signal);
  }
}

class DaemonProcess {
  readonly #facts: ProcessFacts;
  readonly #service: ServiceNotifier;
  readonly #desk: MountDesk;
  /** Requests that are being worked on. */
  #pending = 0;
  #hadMounts = false;
  #ending = false;
  readonly #starting = new Set<LinkedAbort>();
  /** Told when no request is being worked on. */
  readonly #waiting: (() => void)[] = [];
  /** The first that is in no bucket and no journal. */
  #problem: WireError | undefined;
  #over: () => void = () => undefined;
  readonly #ended = new Promise<void>((resolve) => {
    this.#over = resolve;
  });

  constructor(facts: ProcessFacts, service: ServiceNotifier) {
    this.#facts = facts;
    this.#service = service;
    this.#desk = new MountDesk(facts, (line) => facts.log.warn(line));
  }

  async run(ready: () => Promise<void>, signals: StopSignals, signal: AbortSignal): Promise<void> {
    const { runtimeDir } = this.#facts.paths;
    const { pid, log, clock } = this.#facts;
    const { mounts } = this.#desk;
    const trouble = (error: WireError): void => log.error('mount goes on', { error });
    const stopper = new Stopper({ mounts: () => mounts.living, trouble, clock }, signal);
    const listening = signals.listen((name) => {
      log.info('asked to stop', { signal: name });
      this.#service.stopping();
      // What is on its way is undone, and nothing new is begun.
      if (name !== 'SIGINT' || mounts.living.length === 0) this.#stopStarting();
      stopper.hear(name);
    });
    const control = await ControlServer.listen({
      ...{ runtimeDir, pid, log, kind: 'daemon' },
      verbs: {
        status: () => this.#desk.status,
        metrics: () => this.#desk.metrics(),
        unmount: async ({ mountPoint, lazy }, until) =>
          await mounts.unmount(mountPoint, lazy ? 'lazy' : 'wait', until),
        mounts: async (asked, until) => await this.#mount(asked, until),
        files: async (asked, progress, until) => await mounts.files(asked, progress, until),
      },
    });
    try {
      await ready();
      this.#service.ready('no mounts yet');
      this.#endUnlessUsed(FIRST_MS);
      await this.#ended;
      await stopper.done();
      await this.#lastMounts();
    } finally {
      await control[Symbol.asyncDispose]();
      await this.#desk[Symbol.asyncDispose]();
      listening[Symbol.dispose]();
    }
    if (this.#problem !== undefined) throw this.#problem;
  }

  async #mount(asked: MountsAsked, signal: AbortSignal): Promise<MountsAnswer> {
    if (this.#isOver()) throw new DaemonEnds();
    const { paths, version, logFile } = this.#facts;
    if (asked.caller.paths.runtimeDir !== paths.runtimeDir) {
      const answered = 'it is for another daemon';
      throw new WireError('usage', { tried: 'mount', answered });
    }
    this.#pending += 1;
    using starting = new LinkedAbort(signal);
    this.#starting.add(starting);
    try {
      const desk = this.#desk;
      const added = asked.replace
        ? await desk.replace(asked, starting.signal)
        : await desk.open(asked.request, asked.caller, starting.signal);
      this.#hadMounts = true;
      for (const mount of added) this.#follow(mount);
      // It was asked to stop, or nobody waits for them any more: too late for the start to notice.
      if (this.#isOver() || (signal.aborted && !asked.replace)) {
        await leaveAll(added);
        throw new DaemonEnds();
      }
      const warnings: string[] = [];
      desk.mounts.tell(added, (line) => warnings.push(line));
      this.#tellService();
      const mounts = added.map((mount) => mount.status);
      return { version, mounts, warnings, ...(logFile !== undefined && { logFile }) };
    } finally {
      this.#starting.delete(starting);
      this.#pending -= 1;
      if (this.#pending === 0) for (const tell of this.#waiting.splice(0)) tell();
      if (this.#hadMounts) this.#endIfIdle();
      else this.#endUnlessUsed(LINGER_MS);
    }
  }

  #follow(mount: KeptMount): void {
    const ended = mount.ended.then((problem) => {
      if (problem !== undefined) {
        if (!(problem instanceof LeftInJournal)) this.#problem ??= problem;
        this.#facts.log.error('mount ended', { mountPoint: mount.mountPoint, error: problem });
      }
      this.#tellService();
      this.#endIfIdle();
    });
    ended.catch((error: unknown) => this.#facts.log.error('mount ended', { error }));
  }

  #tellService(): void {
    const { living } = this.#desk.mounts;
    this.#service.status(`${living.length} ${living.length === 1 ? 'mount' : 'mounts'}`);
  }

  #endIfIdle(): void {
    if (this.#pending === 0 && this.#desk.mounts.living.length === 0) this.#end();
  }

  #endUnlessUsed(ms: number): void {
    const { signal } = new AbortController();
    const waiting = this.#facts.clock.sleep(ms, signal).then(() => this.#endIfIdle());
    waiting.catch(() => undefined);
  }

  #stopStarting(): void {
    for (const starting of this.#starting) starting.abort(new DaemonEnds());
    this.#end();
  }

  #isOver(): boolean {
    return this.#ending;
  }

  #end(): void {
    this.#ending = true;
    this.#over();
  }

  /** Mounts that were on their way when it was asked to stop. */
  async #lastMounts(): Promise<void> {
    const { mounts } = this.#desk;
    while (this.#pending > 0 || mounts.living.length > 0) {
      if (this.#pending > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      await Promise.all(mounts.living.map(async (mount) => await mount.ended));
    }
  }
}
