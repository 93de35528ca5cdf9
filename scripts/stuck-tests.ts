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

/** A reporter of vitest that kills the process of a silent test file, which then counts as failed. */
export class StuckTests implements Reporter, Disposable {
  readonly #heardMs = new Map<string, number>();
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
    this.#heardMs.delete(module.relativeModuleId);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #heard(module: TestModule): void {
    this.#heardMs.set(module.relativeModuleId, performance.now());
  }

  /** Ends one of those that are silent. */
  async #look(): Promise<void> {
    const limit = performance.now() - SILENT_MS;
    const silent = [...this.#heardMs].find(([, heardMs]) => heardMs <= limit);
    if (silent === undefined || this.#isBusy) return;
    const [name] = silent;
    this.#heardMs.delete(name);
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
