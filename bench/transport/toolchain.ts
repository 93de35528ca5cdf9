/** What the comparison needs besides us: packages of the system, and two programs in C. */
import { access, mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Finished, run } from '../../scripts/demo/programs.ts';

/** Where the compiled programs go; not in the repository's history. */
const OUTPUT_FOLDER = join('build', 'bench', 'baseline');
const SOURCE_FOLDER = join('bench', 'baseline');

export interface Programs {
  readonly memoryFs: string;
  readonly workload: string;
  readonly fio: string;
}

/**
 * Compiles what is in bench/baseline, after installing what that takes when we are root on Debian
 * or Ubuntu.
 *
 * @throws Error with one line that names what to install.
 */
export async function prepareTools(signal: AbortSignal): Promise<Programs> {
  const missing = await missingPackages(signal);
  if (missing.length > 0) await install(missing, signal);
  const { stdout } = await run('pkg-config', ['--cflags', '--libs', 'fuse3'], signal);
  await mkdir(OUTPUT_FOLDER, { recursive: true });
  const memoryFs = join(OUTPUT_FOLDER, 'memory-fs');
  const workload = join(OUTPUT_FOLDER, 'workload');
  const source = (name: string): string => join(SOURCE_FOLDER, name);
  const fuse = [...stdout.trim().split(/\s+/), '-lpthread'];
  const server = [source('memory-fs.c'), source('tree.c'), ...fuse];
  await run('gcc', ['-O2', '-o', memoryFs, ...server], signal);
  await run('gcc', ['-O2', '-o', workload, source('workload.c')], signal);
  return { memoryFs, workload, fio: 'fio' };
}

async function missingPackages(signal: AbortSignal): Promise<string[]> {
  const missing: string[] = [];
  for (const program of ['gcc', 'fio', 'pkg-config', 'fusermount3']) {
    const name = program === 'fusermount3' ? 'fuse3' : program;
    if (!(await isInstalled(program))) missing.push(name);
  }
  const library = missing.includes('pkg-config')
    ? undefined
    : await run('pkg-config', ['--exists', 'fuse3'], signal, { allow: [1] });
  if (library?.exitCode !== 0) missing.push('libfuse3-dev');
  return missing;
}

async function install(packages: readonly string[], signal: AbortSignal): Promise<void> {
  if (process.geteuid?.() !== 0 || !(await isInstalled('apt-get'))) {
    throw new Error(`the transport benchmark needs: apt-get install ${packages.join(' ')}`);
  }
  await aptInstall(packages, signal);
}

async function aptInstall(packages: readonly string[], signal: AbortSignal): Promise<Finished> {
  process.stderr.write(`bench: installing ${packages.join(' ')}\n`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update'], signal, { env });
  return await run('apt-get', ['install', '-y', ...packages], signal, { env });
}

/** Why fuse-native cannot be compared here, or undefined when it can. */
export async function fuseNativeMissing(signal: AbortSignal): Promise<string | undefined> {
  if (await fuseNativeLoads(signal)) return undefined;
  if (process.geteuid?.() === 0 && (await isInstalled('apt-get'))) {
    await aptInstall(['libfuse2'], signal).catch(() => undefined);
    if (await fuseNativeLoads(signal)) return undefined;
  }
  return 'left out: it does not load here (it is optional, and needs libfuse.so.2: libfuse2)';
}

async function fuseNativeLoads(signal: AbortSignal): Promise<boolean> {
  const tried = await run(process.execPath, ['-e', 'require("fuse-native")'], signal, {
    allow: [1, 127, 128],
  });
  return tried.exitCode === 0;
}

async function isInstalled(program: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const found = await access(join(folder, program)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
