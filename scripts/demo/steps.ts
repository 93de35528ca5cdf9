/** A numbered story: each step has a title, a time, and fails with its own name. */

/** The step that failed, and why. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';

  constructor(title: string, options: ErrorOptions) {
    super(`step failed: ${title}`, options);
  }
}

export class Steps {
  readonly #print: (line: string) => void;
  #count = 0;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Runs `work`; what it returns as text is shown behind the step's time. */
  async run<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.#count += 1;
    const started = performance.now();
    try {
      const result = await work();
      const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
      const detail = typeof result === 'string' ? `: ${result}` : '';
      this.#print(`${seconds} s  ${this.#count}. ${title}${detail}`);
      return result;
    } catch (error) {
      throw new StepFailed(title, { cause: error });
    }
  }
}
