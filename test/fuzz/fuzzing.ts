/**
 * Feeds a reader with damaged documents. `WIRE_FUZZ_RUNS=N` for more than a few of each; cases that
 * were found once lie in `corpus/NAME/` and are read in every run.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { it } from 'vitest';
import { damage, damaged } from './damage.ts';

const RUNS = Number(process.env['WIRE_FUZZ_RUNS'] ?? 300);
/** Documents as they come, besides damaged ones. */
const MOST_NOISE_BYTES = 512;
const MOST_STEPS = 6;
/** A case takes less than a thousandth of this; who takes more than all of it hangs. */
const LONGEST_CASE_MS = 10_000;
const MS_A_RUN = 20;
const LEAST_MS = 60_000;

export interface Fuzzed {
  /** Folder of the corpus. */
  readonly name: string;
  /** Valid documents. */
  readonly seeds: readonly (string | Uint8Array)[];
  /**
   * Reads one and looks at what came out.
   *
   * @throws only for what must not be; the reader's own, typed errors are caught here.
   */
  readonly read: (document: Buffer) => void;
}

/** Makes one test that is called `promise`. */
export function fuzz(promise: string, { name, seeds, read }: Fuzzed): void {
  const valid = seeds.map((seed) => Buffer.from(seed));
  const documents = fc.oneof(
    { weight: 12, arbitrary: damagedOf(valid) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: MOST_NOISE_BYTES }) },
  );
  it(promise, { timeout: LEAST_MS + RUNS * MS_A_RUN }, () => {
    for (const document of [...valid, ...corpusOf(name)]) read(document);
    fc.assert(
      fc.property(documents, (document) => {
        const started = performance.now();
        read(Buffer.from(document));
        if (performance.now() - started > LONGEST_CASE_MS) throw new Error('it hung');
      }),
      { numRuns: RUNS, seed: seedOf(RUNS), interruptAfterTimeLimit: LEAST_MS + RUNS * MS_A_RUN },
    );
  });
}

function damagedOf(valid: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const steps = fc.array(damage, { minLength: 1, maxLength: MOST_STEPS, size: 'max' });
  return fc.tuple(fc.nat(valid.length - 1), steps).map(([nth, all]) => {
    return damaged(valid[nth] ?? Buffer.alloc(0), all);
  });
}

/** Short runs are the same each time; long ones are others. */
function seedOf(runs: number): number {
  const given = process.env['WIRE_FUZZ_SEED'];
  if (given !== undefined) return Number(given);
  return runs > 1000 ? Date.now() : 1;
}

function corpusOf(name: string): readonly Buffer[] {
  const folder = join(import.meta.dirname, 'corpus', name);
  try {
    return readdirSync(folder).map((file) => readFileSync(join(folder, file)));
  } catch {
    return [];
  }
}

/** What `read` gives; undefined when it refuses as it may. */
export function orRefused<T>(read: () => T, isTyped: (error: unknown) => boolean): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isTyped(error)) return undefined;
    throw error;
  }
}
