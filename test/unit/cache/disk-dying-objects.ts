/** What the process that is killed keeps, and its parent looks for. */
import type { ObjectIdentity } from '../../../src/cache/block-disk.ts';
import { BLOCK, objectOf } from './disk-fixture.ts';

export const dyingObjects: readonly ObjectIdentity[] = Array.from({ length: 40 }, (_none, n) =>
  objectOf(`o/${n}`, n % 4 === 3 ? 99 : 8 * BLOCK + n),
);
