/**
 * Waits for what another process works on for as long as that takes, as long as the process lives:
 * one that is stopped (SIGSTOP), or wedged, has its request in the socket and never reads it.
 */
import { LinkedAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { WireError } from '../lib/wire-error.ts';

/** Between two looks, each of which takes up to 3 s where nothing answers. */
const LOOK_MS = 2_000;
/** Looks in a row that were not answered: 20 s. A busy process answers one of them. */
const MAX_MISSED = 4;

export interface LifeFacts {
  /** As it is named to the person. */
  readonly name: string;
  /** Whether it answers a question that needs no work. */
  readonly isAlive: (signal: AbortSignal) => Promise<boolean>;
  readonly clock: Clock;
}

/** It answered nothing at all for a while. */
export class NoSignOfLife extends WireError {
  override readonly name = 'NoSignOfLife';

  constructor(process: string) {
    const answered = 'no sign of life: it is stopped, or hangs';
    const next = 'let it go on (kill -CONT), or end it (kill -KILL) and try again';
    super('unreachable', { tried: `ask ${process}`, answered, next });
  }
}

/**
 * Does `work`, which asks the process for something, and aborts it when the process shows no sign of
 * life meanwhile.
 *
 * @throws NoSignOfLife once `work` has ended after that; else as `work`.
 */
export async function whileAlive<T>(
  work: (signal: AbortSignal) => Promise<T>,
  facts: LifeFacts,
  signal: AbortSignal,
): Promise<T> {
  using working = new LinkedAbort(signal);
  using watching = new LinkedAbort(signal);
  const lost = new NoSignOfLife(facts.name);
  const watched = watch(facts, () => working.abort(lost), watching.signal);
  try {
    return await work(working.signal);
  } catch (error) {
    throw working.signal.reason === lost ? lost : error;
  } finally {
    watching.abort();
    await watched;
  }
}

/** Never rejects: an abort ends it. */
async function watch(
  { isAlive, clock }: LifeFacts,
  lost: () => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (let missed = 0; missed < MAX_MISSED; ) {
      await clock.sleep(LOOK_MS, signal);
      missed = (await isAlive(signal)) ? 0 : missed + 1;
    }
    lost();
  } catch {
    // The work is over.
  }
}
