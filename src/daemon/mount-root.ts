/** The root of a mount: what it shows of the store, and its first answer. */
import { raceAbort } from '../lib/abort.ts';
import { WireError } from '../lib/wire-error.ts';
import type { MountParts, MountRoot, MountSpec, StoreLease } from './mount-parts.ts';
import type { MountPoint } from './mount-point.ts';

/** Longest wait for the first answer of our own mount; it needs one listing at most. */
const ROOT_STAT_MS = 30_000;

/** What of the store a mount shows. */
export function rootOf(spec: MountSpec, { stores }: StoreLease): MountRoot {
  const { source } = spec;
  if (source.kind === 'buckets') return { kind: 'buckets', stores };
  return { kind: 'bucket', store: stores.open(source.bucket), prefix: source.prefix };
}

/**
 * Returns when the mount is there for this process, and answers.
 *
 * @throws WireError `mount-point` when the bare folder is there, `internal` when nothing answers.
 */
export async function answersAtRoot(
  point: MountPoint,
  parts: MountParts,
  signal: AbortSignal,
): Promise<void> {
  const tried = `reach the mount at ${point.path}`;
  const answer = parts.deviceOf(point.path);
  const limit = new AbortController();
  const late = parts.clock.sleep(ROOT_STAT_MS, limit.signal).then(() => {
    throw new WireError('internal', { tried, answered: `nothing within ${ROOT_STAT_MS / 1000} s` });
  });
  try {
    const device = await raceAbort(Promise.race([answer, late]), signal);
    if (device === point.deviceBefore) {
      throw new WireError('mount-point', { tried, answered: 'the folder below it' });
    }
  } catch (error) {
    if (error instanceof WireError || signal.aborted) throw error;
    throw new WireError('internal', { tried, answered: String(error) }, { cause: error });
  } finally {
    limit.abort();
    late.catch(() => undefined);
    answer.catch(() => undefined);
  }
}
