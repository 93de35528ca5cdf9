/** Nothing may hang for a minute without a word of why. */
import type { ChildProgram } from '../../bench/child-program.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { FaultyMount } from './faulty-mount.ts';
import type { LongCall } from './watched-calls.ts';

const LOOK_EVERY_MS = 500;
const LONGEST_SILENCE_MS = 60_000;

export class HangWatch {
  readonly wrong: string[] = [];
  readonly #load: ChildProgram<string>;
  readonly #mount: FaultyMount;
  readonly #say: (line: string) => void;
  /** Calls that were told of once. */
  readonly #known = new Set<string>();

  constructor(load: ChildProgram<string>, mount: FaultyMount, say: (line: string) => void) {
    this.#load = load;
    this.#mount = mount;
    this.#say = say;
  }

  /** Waits a moment; whether no program is in a call. */
  async look(signal: AbortSignal): Promise<boolean> {
    await systemClock.sleep(LOOK_EVERY_MS, signal);
    const longest = (await this.#load.ask('longest', null, signal)) as LongCall | null;
    if (longest === null) return true;
    const { what, startedMs } = longest;
    const id = `${what} ${startedMs}`;
    if (Date.now() - startedMs < LONGEST_SILENCE_MS || this.#known.has(id)) return false;
    this.#known.add(id);
    const told = await this.#mount.hasTold(startedMs, signal);
    this.#say(`${what} lasts for over a minute, ${told ? 'and the log says why' : 'in silence'}`);
    if (!told) this.wrong.push(`${what} hung for a minute without a message`);
    return false;
  }
}
