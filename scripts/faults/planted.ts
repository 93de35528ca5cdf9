/** Files that a client of its own puts into the bucket, and that readers know byte for byte. */
import { MiB } from '../../src/lib/bytes.ts';
import type { Random } from '../../test/fixtures/random.ts';
import { madeOf } from '../crash/content.ts';

export interface PlantedFile {
  /** Below the folder of the round. */
  readonly path: string;
  /** In its content: no two files are alike. */
  readonly maker: number;
  readonly bytes: number;
  readonly version: number;
  /** It is replaced by later versions of the same length. */
  readonly changes: boolean;
}

const LONGEST_BYTES = 24 * MiB;
/** Writers have lower numbers. */
const FIRST_MAKER = 100;

export function drawPlanted(random: Random): readonly PlantedFile[] {
  const lengths = [random.below(100_000), MiB + random.below(MiB), random.below(LONGEST_BYTES)];
  const still = lengths.map((bytes, nth): PlantedFile => {
    const maker = FIRST_MAKER + nth;
    return { path: `still/s${nth}`, maker, bytes: bytes + 100, version: 0, changes: false };
  });
  const changing = [1, 2].map((nth): PlantedFile => {
    const maker = FIRST_MAKER + 10 + nth;
    // The first is short enough to be read whole, with a sum that a wrong byte cannot have.
    const bytes = 1000 + random.below(nth === 1 ? 60_000 : 2 * MiB);
    return { path: `changing/c${nth}`, maker, bytes, version: 0, changes: true };
  });
  return [...still, ...changing];
}

export function contentOf({ bytes, maker, version }: PlantedFile): Buffer {
  return madeOf(bytes, maker, version);
}
