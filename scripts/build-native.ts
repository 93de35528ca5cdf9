/**
 * Compiles native/ into native/build/<platform>-<arch>/wire.node: one compiler call, no node-gyp,
 * no Python. Does nothing when the result is newer than its sources, or when a prebuilt one in
 * native/prebuilds loads. As root on Debian and Ubuntu it installs what is missing (a compiler,
 * fuse3 for mounts of ordinary users); otherwise one line says what to install.
 */
import { execFile, spawn } from 'node:child_process';
import { access, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const require = createRequire(import.meta.url);
const run = promisify(execFile);
const say = (line: string): boolean => process.stderr.write(`build-native: ${line}\n`);
const isRoot = process.geteuid?.() === 0;

const target = `${process.platform}-${process.arch}`;
const output = join('native', 'build', target, 'wire.node');
const prebuilt = join('native', 'prebuilds', target, 'wire.node');
const sourceFolder = join('native', 'linux');
const headerFolder = join('native', 'include');

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function findProgram(name: string): Promise<string | undefined> {
  if (name.includes('/')) return (await exists(name)) ? name : undefined;
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (folder !== '' && (await exists(path))) return path;
  }
  return undefined;
}

/** Whether Node can load the addon at `path`: tried in a child, since a bad one may crash. */
async function loads(path: string): Promise<boolean> {
  if (!(await exists(path))) return false;
  try {
    await run(process.execPath, ['-e', 'require(process.argv[1])', join(process.cwd(), path)]);
    return true;
  } catch {
    return false;
  }
}

/** Newest modification among the files of `folders`, in ms since the epoch. */
async function newest(folders: readonly string[]): Promise<number> {
  let latestMs = 0;
  for (const folder of folders) {
    for (const name of await readdir(folder)) {
      latestMs = Math.max(latestMs, (await stat(join(folder, name))).mtimeMs);
    }
  }
  return latestMs;
}

async function isCurrent(): Promise<boolean> {
  if (!(await exists(output))) return false;
  const builtMs = (await stat(output)).mtimeMs;
  return builtMs >= (await newest([sourceFolder, headerFolder])) && (await loads(output));
}

async function follow(program: string, args: readonly string[]): Promise<boolean> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Its output goes to stderr, so that stdout stays the caller's.
  const child = spawn(program, args, { stdio: ['ignore', 2, 2], env });
  return await new Promise((resolve) => {
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
}

/** Installs a Debian package; false where that is not possible. */
async function aptInstall(name: string): Promise<boolean> {
  if (!isRoot || (await findProgram('apt-get')) === undefined) return false;
  say(`installing ${name} with apt-get`);
  const install = ['install', '-y', '--no-install-recommends', name];
  if (await follow('apt-get', install)) return true;
  // A fresh image has no package lists yet.
  return (await follow('apt-get', ['update'])) && (await follow('apt-get', install));
}

async function findCompiler(): Promise<string | undefined> {
  const chosen = process.env['CXX'];
  const names = chosen === undefined || chosen === '' ? ['g++', 'c++', 'clang++'] : [chosen];
  for (const name of names) {
    const path = await findProgram(name);
    if (path !== undefined) return path;
  }
  return undefined;
}

async function compile(compiler: string): Promise<void> {
  const headers: unknown = require('node-api-headers');
  const { include_dir: nodeHeaders } = headers as { readonly include_dir: string };
  const sources = (await readdir(sourceFolder)).filter((name) => name.endsWith('.cc'));
  await mkdir(join('native', 'build', target), { recursive: true });
  // Moved into place when complete: a process that has the old one loaded keeps it whole.
  const partial = `${output}.${process.pid}`;
  await run(compiler, [
    ...['-std=c++17', '-O2', '-Wall', '-Wextra', '-fPIC', '-shared', '-fvisibility=hidden'],
    // A thread of ours may still run when the last worker that loaded it has ended.
    '-Wl,-z,nodelete',
    ...['-DNAPI_VERSION=8', `-I${headerFolder}`, `-I${nodeHeaders}`],
    ...sources.sort().map((name) => join(sourceFolder, name)),
    ...['-pthread', '-o', partial],
  ]);
  await rename(partial, output);
}

async function build(): Promise<number> {
  if (await isCurrent()) return 0;
  if (await loads(prebuilt)) return 0;
  let compiler = await findCompiler();
  if (compiler === undefined && (await aptInstall('g++'))) compiler = await findCompiler();
  if (compiler === undefined) {
    say('no C++ compiler: install g++ (Debian, Ubuntu: apt-get install g++) or set CXX');
    return 1;
  }
  try {
    await compile(compiler);
  } catch (error) {
    const { stderr } = error as { readonly stderr?: string };
    say(`${compiler} failed:\n${stderr ?? String(error)}`);
    return 1;
  }
  return 0;
}

/** Ordinary users mount through fusermount3; root does not need it, so its absence is no failure. */
async function provideFusermount(): Promise<void> {
  if ((await findProgram('fusermount3')) !== undefined) return;
  if (!isRoot) {
    say('fusermount3 is missing: mounting as an ordinary user needs it (apt-get install fuse3)');
  } else if (!(await aptInstall('fuse3'))) {
    say('fuse3 could not be installed: only root can mount');
  }
}

if (process.platform !== 'linux') {
  say(`nothing to build for ${process.platform} yet`);
} else {
  process.exitCode = await build();
  if (process.exitCode === 0) await provideFusermount();
}
