/** The POSIX table: on tmpfs, and on mounts of the playground's bucket by the real command. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canMount } from '../fixtures/real-mount.ts';
import { compileCalls } from './caller.ts';
import { HOLDS } from './check.ts';
import { complaints, expectedOutcome } from './exceptions.ts';
import { mountedPlace, tmpfsPlace } from './places.ts';
import { runChecks, whyNoChecks } from './run.ts';
import { suite } from './suite.ts';

const why = (await whyNoChecks()) ?? (canMount ? undefined : 'needs /dev/fuse');
const suffix = why === undefined ? '' : ` (skipped: ${why})`;
/** The whole table on a busy machine; a mount that hangs ends each check by itself. */
const LIMIT_MS = 400_000;

describe.skipIf(why !== undefined)(`the POSIX table${suffix}`, () => {
  let folder: string;
  let program: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-posix-'));
    program = await compileCalls(folder);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it('has at least 250 checks, each with a name of its own', () => {
    expect(suite.length).toBeGreaterThanOrEqual(250);
    expect(new Set(suite.map(({ name }) => name)).size).toBe(suite.length);
  });

  it('holds on tmpfs, so that no check asks for more than a file system does', async () => {
    await using place = await tmpfsPlace(AbortSignal.timeout(LIMIT_MS));
    const results = await runChecks(place.path, program);
    expect(results.filter(({ outcome }) => outcome !== HOLDS)).toEqual([]);
    expect(results).toHaveLength(suite.length);
  });

  it.each([
    ['default', []],
    ['posix', []],
    ['posix', ['--write-back', 'on']],
  ] as const)(
    'holds on a mount in %s mode, flags %j, but for its exceptions',
    async (mode, flags) => {
      const signal = AbortSignal.timeout(LIMIT_MS);
      await using place = await mountedPlace('playground', mode, flags, signal);
      const results = await runChecks(place.path, program);
      expect(results).toHaveLength(suite.length);
      expect(complaints(results, { mode, store: 'playground' })).toEqual([]);
    },
    LIMIT_MS,
  );

  it('complains of a failure, of another one than expected, and of a stale exception', () => {
    const mounted = { mode: 'default', store: 'playground' } as const;
    const all = suite.map(({ name }) => ({ name, outcome: expectedOutcome(name, mounted) }));
    expect(complaints(all, mounted)).toEqual([]);
    const changed = (name: string, outcome: string): readonly string[] =>
      complaints([...all.filter((one) => one.name !== name), { name, outcome }], mounted);
    const link = 'link makes a second name of a file';
    expect(changed('O_TRUNC empties a file', 'openat: EIO')).toEqual([
      'O_TRUNC empties a file: openat: EIO',
    ]);
    expect(changed(link, 'linkat: EIO')).toEqual([
      `${link}: linkat: EIO (the exception says linkat: EPERM)`,
    ]);
    expect(changed(link, HOLDS)).toEqual([`${link}: the exception is stale, the check holds`]);
    expect(complaints([], mounted)).toContain(`${link}: an exception of no check`);
    expect(complaints(all, { mode: 'default', store: 'minio-role' })).toHaveLength(2);
  });
});
