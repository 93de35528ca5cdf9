/** What mounts that died left in the staging folder, and no journal tells of. */
import type { Log } from '../lib/log.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { BasePins } from './content-base.ts';
import type { Reader } from './reader.ts';
import type { SaveFailures } from './save-failures.ts';
import { diedUnsaved } from './save-outcomes.ts';
import type { KeptContent, Leftovers, StagingArea } from './staging-area.ts';
import type { Uploader } from './uploader.ts';

export interface StagingRecoveryParts {
  readonly staging: StagingArea;
  readonly uploader: Uploader;
  readonly reader: Reader;
  readonly log: Log;
}

type StoreOf = (bucket: string) => ObjectStore | undefined;

/** What a mount that died has kept of a long file is not completed. */
const COMPLETED_BYTES = 64 * 1024 * 1024;

export class StagingRecovery {
  readonly #parts: StagingRecoveryParts;
  readonly #failures: SaveFailures;

  constructor(parts: StagingRecoveryParts, failures: SaveFailures) {
    this.#parts = parts;
    this.#failures = failures;
  }

  /**
   * Shows their unsaved bytes as failures, and gives their uploads up. Never fails: what goes wrong
   * is tried by the next mount.
   */
  async recover(
    storeOf: StoreOf,
    signal: AbortSignal,
    claimed?: (folder: string) => Promise<ReadonlySet<string>>,
  ): Promise<void> {
    const { staging, log } = this.#parts;
    try {
      const { kept, uploads } = await staging.takeOver(claimed);
      for (const content of kept) {
        this.#failures.add(content.name, diedUnsaved, content.path);
        await this.#completeKept(content, storeOf, signal);
      }
      for (const left of uploads) await this.#giveUp(left, storeOf, signal);
    } catch (error) {
      log.warn('not-recovered', { error });
    }
  }

  async #giveUp(
    { upload, forget }: Leftovers['uploads'][number],
    storeOf: StoreOf,
    signal: AbortSignal,
  ): Promise<void> {
    const { uploader, log } = this.#parts;
    const store = storeOf(upload.bucket);
    if (store === undefined) return;
    try {
      if (await uploader.giveUpLeft(store, upload, signal)) await forget();
    } catch (error) {
      log.warn('upload-not-aborted', { key: upload.key, error });
    }
  }

  /** Fetches what kept bytes lack, while the object is what it was; else the note stays. */
  async #completeKept(content: KeptContent, storeOf: StoreOf, signal: AbortSignal): Promise<void> {
    const { lacks, path } = content;
    const { staging, reader, log } = this.#parts;
    const store = lacks && storeOf(lacks.bucket);
    if (lacks === undefined || store === undefined) return;
    const place = { store, key: lacks.key };
    const pins: BasePins = {
      pin: (version) => reader.pinAt(() => place, version),
      unpin: (pinned) => reader.unpin(pinned),
      read: (...args) => reader.read(...args),
    };
    const staged = await staging.reopen(content, pins);
    try {
      if (staged.missingBytes > COMPLETED_BYTES) return;
      await staged.fetch(signal);
      await staged.keep(path);
    } catch (error) {
      log.warn('kept-in-part', { path, error });
    } finally {
      await staged.leave();
    }
  }
}
