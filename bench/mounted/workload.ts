/** One thing that is done to a mount of the real command, and to the same server without it. */
import type { RawStore } from '../raw/raw-client.ts';
import type { StoreName } from '../stores/bench-store.ts';
import type { BenchScene, Site } from './scene.ts';
import type { WireMount, WireMountOptions } from './wire-mount.ts';

export interface Sample {
  readonly wire: number;
  readonly others: Readonly<Record<string, number>>;
  /** Other figures of it, by what they are; their medians go into the notes. */
  readonly notes?: Readonly<Record<string, number>>;
}

/** The surroundings of one measurement. */
export interface Place {
  readonly scene: BenchScene;
  readonly site: Site;
  /** As of `site`. */
  readonly raw: RawStore;
  readonly round: number;
  /** Where profiles go, if they are wanted. */
  readonly profileFolder: string | undefined;
}

export interface Workload<Prepared> {
  readonly name: string;
  readonly unit: string;
  readonly better: 'greater' | 'smaller';
  /** Why it cannot be measured here; undefined when it can. */
  readonly missing?: (server: StoreName) => string | undefined;
  measure(place: Place & Prepared, signal: AbortSignal): Promise<Sample>;
}

/** A new mount, of which nothing is known to the kernel or to wire. */
export async function withMount<T>(
  { scene, site, profileFolder }: Place,
  signal: AbortSignal,
  use: (mount: WireMount) => Promise<T>,
  more: Pick<WireMountOptions, 'writeBack'> = {},
): Promise<T> {
  const profile = profileFolder === undefined ? {} : { profileFolder };
  const options = { endpoint: site.endpoint.href, ...profile, ...more };
  await using mount = await scene.mount(options, signal);
  return await use(mount);
}

/** Ours first in even rounds, theirs in odd ones. */
export async function inTurn<A, B>(
  { round }: Place,
  ours: () => Promise<A>,
  theirs: () => Promise<B>,
): Promise<[A, B]> {
  if (round % 2 === 0) return [await ours(), await theirs()];
  const second = await theirs();
  return [await ours(), second];
}
