/** The MinIO program: one that is there, or the pinned version, built where Go is. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { run } from '../demo/programs.ts';

export interface MinioProgram {
  readonly path: string;
  /** MinIO built from source does not know its own. */
  readonly version: string;
}

/** What this project was tried with. */
const PINNED = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c';

/** Where it is built: `build` is ours, and in no repository. */
const FOLDER = resolve('build', 'tools');

/**
 * `$WIRE_MINIO`, else what was built before, else a build of the pinned version: minutes, and a
 * gigabyte of memory.
 *
 * @throws Error that says what is missing.
 */
export async function findMinio(
  environment: Readonly<Record<string, string | undefined>>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<MinioProgram> {
  const { WIRE_MINIO: given } = environment;
  const path = given ?? resolve(FOLDER, 'minio');
  const goVersion = await run('go', ['version'], signal).catch(() => undefined);
  if (!existsSync(path)) {
    if (given !== undefined) throw new Error(`WIRE_MINIO is ${given}, where there is nothing`);
    if (goVersion === undefined) {
      throw new Error('MinIO needs Go 1.24 to be built, or WIRE_MINIO=PATH of its program');
    }
    say(`Building ${PINNED}: about five minutes`);
    const env = { GOBIN: FOLDER, GOTOOLCHAIN: 'local', GOFLAGS: '-trimpath' };
    await run('go', ['install', PINNED], signal, { env });
  }
  return { path, version: await versionOf(path, goVersion !== undefined, signal) };
}

async function versionOf(path: string, hasGo: boolean, signal: AbortSignal): Promise<string> {
  if (hasGo) {
    const { stdout } = await run('go', ['version', '-m', path], signal);
    const [, module, version] = /^\s*mod\s+(\S+)\s+(\S+)/m.exec(stdout) ?? [];
    if (module !== undefined && version !== undefined) return `${module} ${version}`;
  }
  const { stdout } = await run(path, ['--version'], signal);
  return stdout.split('\n')[0] ?? 'minio';
}
