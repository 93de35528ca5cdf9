/** Calls of programs under load: how long each has lasted, what it failed with, what was wrong. */
import { getSystemErrorName } from 'node:util';

/** What every program of one load tells together. */
export interface CallReport {
  readonly acknowledged: number;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  /** By errno. */
  readonly refused: Readonly<Record<string, number>>;
  /** Contents and names that cannot be. */
  readonly wrong: readonly string[];
}

export interface LongCall {
  readonly what: string;
  readonly startedMs: number;
}

export class WatchedCalls {
  acknowledged = 0;
  bytesWritten = 0;
  bytesRead = 0;
  /** For people. */
  lastRefused = 'nothing';
  readonly wrong: string[] = [];
  readonly #refused = new Map<string, number>();
  readonly #underWay = new Set<LongCall>();

  get report(): CallReport {
    const { acknowledged, bytesWritten, bytesRead, wrong } = this;
    const refused = Object.fromEntries(this.#refused);
    return { acknowledged, bytesWritten, bytesRead, refused, wrong };
  }

  /** The call that has lasted longest. */
  get longest(): LongCall | null {
    const all = [...this.#underWay];
    return all.toSorted((a, b) => a.startedMs - b.startedMs)[0] ?? null;
  }

  /** Does `call`, and is known to do it meanwhile. */
  async watch<T>(what: string, call: () => Promise<T>): Promise<T> {
    const running: LongCall = { what, startedMs: Date.now() };
    this.#underWay.add(running);
    try {
      const result = await call();
      this.acknowledged += 1;
      return result;
    } catch (error) {
      const name = errnoOf(error) ?? 'no errno';
      this.lastRefused = what;
      this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1);
      throw error;
    } finally {
      this.#underWay.delete(running);
    }
  }
}

/** Errnos that Node has no name for (Linux `errno.h`). */
const nameless: Readonly<Record<number, string>> = {
  116: 'ESTALE',
  122: 'EDQUOT',
  127: 'EKEYEXPIRED',
};

/** Undefined for what is no error of a system call: a defect of the load. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? undefined : (nameless[-errno] ?? getSystemErrorName(errno));
}

/** The file system under the call is gone. */
export function isDead(error: unknown): boolean {
  return ['ENOTCONN', 'ECONNABORTED', 'ECONNRESET'].includes(errnoOf(error) ?? '');
}
