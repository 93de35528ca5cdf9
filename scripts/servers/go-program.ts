/** Programs that are built from Go's modules: one that is there, or the pinned version. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { run } from '../demo/programs.ts';

export interface GoModule {
  readonly name: string;
  /** Path and version, as `go install` takes them: what this project was tried with. */
  readonly pinned: string;
  /** Of Go itself, the oldest that builds it. */
  readonly go: string;
  /** The environment's word for a program of one's own. */
  readonly variable: string;
  /** On two idle processors. */
  readonly buildTime: string;
}

export interface GoProgram {
  readonly path: string;
  /** A program built from source does not know its own. */
  readonly version: string;
}

export const minio: GoModule = {
  name: 'minio',
  pinned: 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c',
  go: '1.24',
  variable: 'WIRE_MINIO',
  buildTime: 'about five minutes',
};

export const opa: GoModule = {
  name: 'opa',
  pinned: 'github.com/open-policy-agent/opa@v1.22.2',
  go: '1.26',
  variable: 'WIRE_OPA',
  buildTime: 'about two minutes',
};

/** Where they are built: `build` is ours, and in no repository. */
const FOLDER = resolve('build', 'tools');

/**
 * The program that the environment names, else what was built before, else a build of the pinned
 * version: minutes, and a gigabyte of memory.
 *
 * @throws Error that says what is missing.
 */
export async function findGoProgram(
  { name, pinned, go, variable, buildTime }: GoModule,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<GoProgram> {
  const given = process.env[variable];
  const path = given ?? resolve(FOLDER, name);
  const goVersion = await run('go', ['version'], signal).catch(() => undefined);
  if (!existsSync(path)) {
    if (given !== undefined) throw new Error(`${variable} is ${given}, where there is nothing`);
    if (goVersion === undefined) {
      throw new Error(`${name} needs Go ${go} to be built, or ${variable}=PATH of its program`);
    }
    say(`Building ${pinned}: ${buildTime}`);
    const env = { GOBIN: FOLDER, GOTOOLCHAIN: 'local', GOFLAGS: '-trimpath' };
    await run('go', ['install', pinned], signal, { env });
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
  return stdout.split('\n')[0] ?? path;
}
