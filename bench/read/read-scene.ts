/** The bucket of the suite `read`, a local copy of its large object, and the program that reads. */
import { join } from 'node:path';
import { GiB, MiB } from '../../src/lib/bytes.ts';
import { ReadsProgram } from '../mounted/reads-program.ts';
import type { BenchScene } from '../mounted/scene.ts';
import { uploadContents, writeContents } from '../stores/contents.ts';
import { listedKeys, SMALL_BODY } from '../stores/listed-keys.ts';

export const BIG = 'big/data';
export const BIG_BYTES: number = GiB;

export const PARALLEL = 'parallel';
export const PARALLEL_FILES = 100;
export const PARALLEL_BYTES: number = 4 * MiB;

const FIRST_BYTE_FILES = 12;

/** As bench/baseline/reads.c expects them. */
function numbered(folder: string, files: number): string[] {
  return Array.from({ length: files }, (_, at) => `${folder}/f${String(at).padStart(3, '0')}`);
}

export const firstByteKeys: readonly string[] = numbered('first', FIRST_BYTE_FILES);

export interface ReadScene {
  /** The same bytes as `BIG`. */
  readonly local: string;
  readonly reads: ReadsProgram;
}

/** Puts there what `chosen` need, and the large object. */
export async function prepareRead(
  { store, user }: BenchScene,
  chosen: readonly { readonly name: string }[],
  signal: AbortSignal,
): Promise<ReadScene> {
  const reads = await ReadsProgram.compile(signal);
  const isNeeded = (name: string): boolean => chosen.some((workload) => workload.name === name);
  const local = join(user.folder, 'local');
  const part = join(user.folder, 'part');
  await writeContents(local, BIG_BYTES);
  await writeContents(part, PARALLEL_BYTES);
  const { client, bucket } = store;
  await uploadContents({ client, bucket, path: local, keys: [BIG] }, signal);
  const keys = [
    ...(isNeeded('parallel-100') ? numbered(PARALLEL, PARALLEL_FILES) : []),
    ...(isNeeded('first-byte') ? firstByteKeys : []),
  ];
  await uploadContents({ client, bucket, path: part, keys }, signal);
  if (isNeeded('lslr')) await store.plant(listedKeys(), SMALL_BODY, signal);
  return { local, reads };
}
