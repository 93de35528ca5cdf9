import { getHeapSpaceStatistics } from 'node:v8';
import { expect, it } from 'vitest';
import { YoungGeneration } from '../../../src/daemon/young-generation.ts';
import { MiB } from '../../../src/lib/bytes.ts';

/** Both halves. */
function sizeOfNew(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return space?.space_size ?? 0;
}

/** Objects of which many live for a while. */
function churn(): number {
  const kept: object[] = [];
  for (let at = 0; at < 1_000_000; at += 1) kept[at % 50_000] = { at };
  return kept.length;
}

it('holds the young generation of a mount at 4 MiB, to which it grows when much is under way', async () => {
  using young = new YoungGeneration();
  young.hold();
  // It may have been grown before by whatever else runs here: then it stays as it is.
  const before = sizeOfNew();
  for (let round = 0; round < 20; round += 1) {
    churn();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(sizeOfNew()).toBeLessThanOrEqual(Math.max(before, 8 * MiB));
  expect(sizeOfNew()).toBeGreaterThanOrEqual(8 * MiB);
});
