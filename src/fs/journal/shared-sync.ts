/** One fdatasync for all who wait for the disk: who comes while one runs has part in the next. */
import { open } from 'node:fs/promises';
import type { Segment } from './segment.ts';

export class SharedSync {
  readonly #folder: string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #newNames = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A file was made: the folder has to reach the disk too. */
  namesChanged(): void {
    this.#newNames = true;
  }

  /** Settles when all that is in `segments` now is on the disk. */
  async run(segments: () => readonly Segment[]): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#begin(segments);
      await this.#running;
      return;
    }
    const before = this.#running;
    this.#next ??= before
      .catch(() => undefined)
      .then(async () => {
        this.#next = undefined;
        this.#running = this.#begin(segments);
        await this.#running;
      });
    await this.#next;
  }

  async #begin(segments: () => readonly Segment[]): Promise<void> {
    try {
      for (const segment of [...segments()]) if (!segment.isSynced) await segment.sync();
      if (!this.#newNames) return;
      this.#newNames = false;
      await syncFolder(this.#folder);
    } finally {
      this.#running = undefined;
    }
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
