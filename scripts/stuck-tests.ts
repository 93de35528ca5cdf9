/**
 * Ends a test file that no time limit of vitest can end, since its process no longer turns its event
 * loop: a loop without an end, or a system call that never returns.
 */
import { readFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { placeOf } from './stuck-place.ts';

/** Longer than any test may take, and than it takes to install what a test needs. */
const SILENT_MS = 12 * 60_000;
const LOOK_EVERY_MS = 10_000;
const WORKER = '/vitest/dist/workers/';

/** When each file that runs was last heard of. */
export class Silences {
  readonly #heardMs = new Map<string, number>();
  /** A result of a test may be told after the end of its file. */
  readonly #ended = new Set<string>();

  heard(name: string, nowMs: number): void {
    if (!this.#ended.has(name)) this.#heardMs.set(name, nowMs);
  }

  ended(name: string): void {
    this.#ended.add(name);
    this.#heardMs.delete(name);
  }

  /** One that has not been heard of since `limitMs`, or undefined. */
  since(limitMs: number): string | undefined {
    return [...this.#heardMs].find(([, heardMs]) => heardMs <= limitMs)?.[0];
  }
}

/** A reporter of vitest that kills the process of a silent test file, which then counts as failed. */
export class StuckTests implements Reporter, Disposable {
  readonly #silences = new Silences();
  readonly #say: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  #isBusy = false;

  constructor(say: (line: string) => void) {
    this.#say = say;
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS).unref();
  }

  onTestModuleStart(module: TestModule): void {
    this.#heard(module);
  }

  onTestCaseResult(test: TestCase): void {
    this.#heard(test.module);
  }

  onTestModuleEnd(module: TestModule): void {
    this.#silences.ended(module.relativeModuleId);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #heard(module: TestModule): void {
    this.#silences.heard(module.relativeModuleId, performance.now());
  }

  /** Ends one of those that are silent. */
  async #look(): Promise<void> {
    const name = this.#silences.since(performance.now() - SILENT_MS);
    if (name === undefined || this.#isBusy) return;
    this.#silences.ended(name);
    this.#isBusy = true;
    try {
      // Each file has a process of its own: of those there are, the one that stopped is the oldest.
      const pid = oldestWorker();
      if (pid === undefined) return;
      const place = await placeOf(pid);
      this.#say(`\n${name}: silent for ${SILENT_MS / 1000} s, ended; its process was at`);
      for (const line of place) this.#say(`  ${line}`);
      process.kill(pid, 'SIGKILL');
    } finally {
      this.#isBusy = false;
    }
  }
}

function oldestWorker(): number | undefined {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  const pids = children.trim().split(' ').map(Number);
  const startOf = (pid: number): number =>
    // The 22nd field; the second may hold spaces (proc_pid_stat(5)).
    Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19]);
  return pids
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(WORKER))
    .toSorted((one, other) => startOf(one) - startOf(other))[0];
}
