/**
 * Files that nobody has open any more and that could not be saved because the login had ended.
 * They are tried until a login is there; the first of them asks, the others follow once it is
 * saved. What waits is on the local disk, so any number may.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { StoreError } from '../store/errors.ts';
import { type FileNode, filePlaceOf } from './nodes.ts';
import type { StagedFile } from './staged-file.ts';

export interface LoginSavesParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Saves a file that nobody has open, or gives its content up; `wants` tells which. */
  readonly save: (node: FileNode, signal: AbortSignal) => Promise<void>;
}

/** Between two looks. A look costs no request while there are no credentials. */
const PAUSE_MS = 1000;
/** Saved at once after a login; their bytes are bounded by the uploader. */
const PARALLEL_SAVES = 8;

export class LoginSaves implements AsyncDisposable {
  readonly #parts: LoginSavesParts;
  readonly #closing = new AbortController();
  readonly #nodes = new Set<FileNode>();
  /** Content whose last save failed for want of a login. */
  readonly #unsaved = new WeakSet<StagedFile>();
  #running: Promise<void> | undefined;

  constructor(parts: LoginSavesParts) {
    this.#parts = parts;
  }

  /** Notes why a save of `staged` failed. */
  failed(staged: StagedFile, error: unknown): void {
    if (isLoginEnd(error)) this.#unsaved.add(staged);
    // What was waiting for a login goes on waiting while the store cannot be reached.
    else if (!isPassing(error)) this.#unsaved.delete(staged);
  }

  /** Whether a login would save `node`. */
  wants({ staged, unlinked, removed }: FileNode): boolean {
    if (staged?.dirty !== true || unlinked || removed) return false;
    return this.#unsaved.has(staged) && !this.#closing.signal.aborted;
  }

  has(node: FileNode): boolean {
    return this.#nodes.has(node);
  }

  /** Sees to it that `node` is saved after the next login. */
  add(node: FileNode): void {
    this.#nodes.add(node);
    this.#running ??= this.#start();
  }

  /** Gives the waiting files up; their content is their owner's again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the file system was closed'));
    await this.#running;
    this.#nodes.clear();
  }

  async #start(): Promise<void> {
    const { signal } = this.#closing;
    try {
      while (this.#nodes.size > 0) await this.#look(signal);
    } catch (error) {
      if (!signal.aborted) this.#parts.log.error('not-saved-after-login', { error });
    }
    this.#running = undefined;
  }

  async #look(signal: AbortSignal): Promise<void> {
    await this.#parts.clock.sleep(PAUSE_MS, signal);
    if (await this.#isStoreOpen(signal)) await this.#saveAll(signal);
  }

  /** Whether there are credentials again: waits for them as every operation does. */
  async #isStoreOpen(signal: AbortSignal): Promise<boolean> {
    const [node] = [...this.#nodes].filter((one) => this.wants(one));
    if (node === undefined) return true;
    try {
      const { store, key } = filePlaceOf(node);
      await store.head(key, signal);
    } catch (error) {
      return !isLoginEnd(error);
    }
    return true;
  }

  async #saveAll(signal: AbortSignal): Promise<void> {
    const waiting = [...this.#nodes].values();
    const save = async (): Promise<void> => {
      for (const node of waiting) {
        await this.#parts.save(node, signal);
        // Somebody who has it open by now lets it go in the end, and we are told again.
        if (node.handles.size > 0 || !this.wants(node)) this.#nodes.delete(node);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_SAVES }, save));
  }
}

function isLoginEnd(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false;
  return error.kind === 'login-expired' || error.kind === 'credentials-expired';
}

function isPassing(error: unknown): boolean {
  return (
    error instanceof StoreError && (error.kind === 'unreachable' || error.kind === 'unavailable')
  );
}
