/** A machine for mounts that are not real: it records what happens and fails where a test says. */

import type { KeptMount } from '../../../src/daemon/kept-mount.ts';
import type {
  Connection,
  FailedSave,
  MountParts,
  MountSpec,
} from '../../../src/daemon/mount-parts.ts';
import {
  type MountEvents,
  type MountLife,
  MountProcess,
} from '../../../src/daemon/mount-process.ts';
import { Mounts } from '../../../src/daemon/mounts.ts';
import type { StopSignal, StopSignals } from '../../../src/daemon/stop-signals.ts';
import { noKernelCache } from '../../../src/fs/kernel-cache.ts';
import type { Clock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { WireError } from '../../../src/lib/wire-error.ts';

export const steps = [
  'prepare',
  'attach',
  'connect',
  'check',
  'fileSystem',
  'serve',
  'stat',
] as const;
export type Step = (typeof steps)[number];

export const connection: Connection = {
  issuer: 'https://iam.example',
  endpoint: 'https://s3.example',
  stsEndpoint: 'https://s3.example',
  region: 'r',
  sessionName: 'wire',
  expiryWaitMs: 0,
  narrowed: false,
};

export function specOf(mountPoint: string): MountSpec {
  return {
    mountPoint,
    makeDirectory: false,
    source: { kind: 'bucket', bucket: 'b', prefix: '' },
    connection,
    readOnly: false,
    allowOther: false,
  };
}

export const failure = (step: string): WireError =>
  new WireError('unreachable', { tried: step, answered: 'nothing' });

/** Sleeps only end when they are aborted. */
const stillClock: Clock = {
  now: () => 1_000,
  monotonic: () => 0,
  sleep: async (_, signal) =>
    await new Promise((_resolve, reject) => {
      const abort = (): void => reject(new Error('aborted'));
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
    }),
};

export class FakeMachine {
  readonly events: string[] = [];
  /** Mount points that the kernel knows. */
  readonly mounted = new Set<string>();
  /** Leases and file systems that are not given back. */
  held = 0;
  failAt: Step | undefined;
  /** Called at each step, before it is done. */
  onStep: (step: Step) => void | Promise<void> = () => undefined;
  busy = false;
  unsaved = false;
  /** What the file system tells of saves that failed. */
  readonly failures: FailedSave[] = [];
  readonly #ends = new Map<string, () => void>();

  readonly parts: MountParts = {
    clock: stillClock,
    log: silentLog,
    prepare: async ({ mountPoint }, signal) => {
      await this.#step('prepare', signal);
      return { path: mountPoint, deviceBefore: 1, made: [], runtimeDir: '/nowhere' };
    },
    attach: async ({ mountPoint }, _, signal) => {
      await this.#step('attach', signal);
      this.mounted.add(mountPoint);
      const ended = new Promise<void>((resolve) => this.#ends.set(mountPoint, resolve));
      const end = (): void => this.endFromOutside(mountPoint);
      return {
        ended,
        serve: () => {
          this.events.push('serve');
          if (this.failAt === 'serve') throw failure('serve');
          return noKernelCache;
        },
        unmount: async (mode) => {
          await Promise.resolve();
          this.events.push(`unmount ${mode}`);
          if (this.busy && mode === 'wait') {
            throw new WireError('mount-point', { tried: 'unmount', answered: 'EBUSY' });
          }
          end();
        },
        unmountNow: () => {
          this.events.push('unmount now');
          end();
        },
        [Symbol.asyncDispose]: async () => {
          await Promise.resolve();
          if (this.mounted.has(mountPoint)) this.events.push('let go');
          end();
        },
      };
    },
    connect: async (_, signal) => {
      await this.#step('connect', signal);
      this.held += 1;
      return {
        stores: {
          buckets: () => Promise.resolve([]),
          open: () =>
            ({
              list: async () => {
                await this.#step('check', signal);
                return { objects: [], prefixes: [] };
              },
            }) as never,
        },
        credentialsUntilMs: 5_000,
        degraded: undefined,
        [Symbol.asyncDispose]: async () => {
          await Promise.resolve();
          this.events.push('lease returned');
          this.held -= 1;
        },
      };
    },
    fileSystem: async (_, { mountPoint }) => {
      await Promise.resolve();
      this.events.push('fileSystem');
      if (this.failAt === 'fileSystem') throw failure('fileSystem');
      this.held += 1;
      const isUnsaved = (): boolean => this.unsaved;
      return {
        state: {
          openHandles: 0,
          unsavedBytes: 0,
          failures: this.failures,
          get unsavedFiles() {
            return isUnsaved() ? 1 : 0;
          },
        },
        keptBy: () => undefined,
        tend: async () => await Promise.resolve({ files: 0, bytes: 0, totalBytes: 0 }),
        sync: async (signal: AbortSignal) => {
          await Promise.resolve();
          this.events.push('sync');
          signal.throwIfAborted();
          if (this.unsaved) throw new WireError('not-saved', { tried: 'save', answered: 'no' });
        },
        [Symbol.asyncDispose]: async () => {
          await Promise.resolve();
          this.events.push(
            `closed ${this.mounted.has(mountPoint) ? 'under the mount' : 'after it'}`,
          );
          this.held -= 1;
        },
      } as never;
    },
    deviceOf: async (path) => {
      await this.#step('stat', undefined);
      return this.mounted.has(path) ? 2 : 1;
    },
    usersOf: () => Promise.resolve(['bash (7)']),
  };

  /** umount(8) by somebody. */
  endFromOutside(mountPoint: string): void {
    this.mounted.delete(mountPoint);
    this.#ends.get(mountPoint)?.();
  }

  async #step(step: Step, signal: AbortSignal | undefined): Promise<void> {
    this.events.push(step);
    await this.onStep(step);
    signal?.throwIfAborted();
    if (this.failAt === step) throw failure(step);
  }
}

/** Signals that a test sends. */
export class FakeSignals implements StopSignals {
  readonly #listeners = new Set<(signal: StopSignal) => void>();

  get listening(): number {
    return this.#listeners.size;
  }

  listen(listener: (signal: StopSignal) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  send(signal: StopSignal): void {
    for (const listener of this.#listeners) listener(signal);
  }
}

/**
 * A process that mounts, and what is asked of its mounts.
 *
 * @param last what its start does when all is mounted.
 */
export function processOf(
  parts: MountParts,
  events: MountEvents,
  life: MountLife = {},
  last: () => void = () => undefined,
): {
  readonly mounts: Mounts;
  readonly run: (
    places: readonly string[],
    signals: StopSignals,
    signal: AbortSignal,
  ) => Promise<void>;
} {
  const mounts = new Mounts(parts.log);
  const process = new MountProcess(mounts, parts.clock, events, life);
  return {
    mounts,
    run: async (places, signals, signal) => {
      const orders = places.map((place) => ({ spec: specOf(place), parts }));
      const begin = async (until: AbortSignal): Promise<readonly KeptMount[]> => {
        const added = await mounts.add(orders, until);
        last();
        return added;
      };
      await process.run(begin, signals, signal);
    },
  };
}
