/**
 * What the product brings along. The lock file and what is installed are looked at in every run;
 * `WIRE_SUPPLY=1` also installs the product as a careful person would, which asks the registry.
 */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { WireUser } from '../../scripts/demo/wire-user.ts';
import { type Playground, startPlayground } from '../../src/demo/playground.ts';
import { Closers } from '../../src/lib/closers.ts';

/** A package of package-lock.json (docs.npmjs.com/cli/v10/configuring-npm/package-lock-json). */
interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly peer?: boolean;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

interface Manifest {
  readonly version?: string;
  readonly license?: unknown;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** What npm runs, unasked, when a package is installed from a registry. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall'];

/** Licences that ask for no more than their own text and names (spdx.org/licenses). */
const PERMISSIVE = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
];

async function readJson<T>(...path: readonly string[]): Promise<T> {
  return JSON.parse(await readFile(join(...path), 'utf8')) as T;
}

async function locked(): Promise<readonly (readonly [string, Locked])[]> {
  const lock = await readJson<{ readonly packages: Readonly<Record<string, Locked>> }>(
    'package-lock.json',
  );
  return Object.entries(lock.packages).filter(([path]) => path !== '');
}

/** Folders of what is installed with the product, optional packages included. */
async function ofProduct(): Promise<readonly (readonly [string, Locked])[]> {
  return (await locked()).filter(([, { dev }]) => dev !== true);
}

/** As `ofProduct`, without what may be missing. */
async function needed(): Promise<readonly (readonly [string, Locked])[]> {
  return (await ofProduct()).filter(
    ([, { optional, devOptional, peer }]) => !(optional ?? devOptional ?? peer ?? false),
  );
}

describe('what the product depends on', () => {
  it('runs no script at installation, in any package that it needs', async () => {
    const packages = await needed();
    expect(packages.length).toBeGreaterThan(10);
    expect(packages.filter(([, { hasInstallScript }]) => hasInstallScript === true)).toEqual([]);
    for (const [path] of packages) {
      const { scripts = {} } = await readJson<Manifest>(path, 'package.json');
      expect([path, INSTALL_SCRIPTS.filter((name) => name in scripts)]).toEqual([path, []]);
      // npm would build it without being told to.
      expect([path, existsSync(join(path, 'binding.gyp'))]).toEqual([path, false]);
    }
  });

  it('runs no script of its own at installation', async () => {
    const { scripts = {} } = await readJson<Manifest>('package.json');
    const unasked = [...INSTALL_SCRIPTS, 'prepare', 'preprepare', 'postprepare'];
    expect(unasked.filter((name) => name in scripts)).toEqual([]);
    expect(existsSync('binding.gyp')).toBe(false);
  });

  it('is one version of each package, named by its digest', async () => {
    const { dependencies, devDependencies, optionalDependencies } =
      await readJson<Manifest>('package.json');
    const asked = { ...dependencies, ...devDependencies, ...optionalDependencies };
    const packages = new Map(await locked());
    for (const [name, version] of Object.entries(asked)) {
      expect(version).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      expect([name, packages.get(`node_modules/${name}`)?.version]).toEqual([name, version]);
    }
    for (const [path, { version, integrity, link }] of await ofProduct()) {
      expect([path, version]).toEqual([path, expect.stringMatching(/^\d+\.\d+\.\d+/)]);
      expect([path, integrity]).toEqual([path, expect.stringMatching(/^sha512-/)]);
      expect([path, link]).toEqual([path, undefined]);
    }
  });

  it('is what is installed', async () => {
    for (const [path, { version }] of await needed()) {
      const installed = await readJson<Manifest>(path, 'package.json');
      expect([path, installed.version]).toEqual([path, version]);
    }
  });

  it('has licences that ask for nothing in return', async () => {
    const installed = (await ofProduct()).filter(([path]) => existsSync(path));
    expect(installed.length).toBeGreaterThan(20);
    for (const [path] of installed) {
      const { license } = await readJson<Manifest>(path, 'package.json');
      expect([path, PERMISSIVE.includes(String(license)) ? 'permissive' : license]).toEqual([
        path,
        'permissive',
      ]);
    }
  });
});

/** The product in a folder of its own, its packages installed without their scripts. */
async function installCopy(closers: Closers, signal: AbortSignal): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'wire-supply-'));
  closers.defer(async () => await rm(folder, { recursive: true, force: true }));
  for (const name of ['package.json', 'package-lock.json', '.npmrc', 'bin', 'dist']) {
    if (existsSync(name)) await cp(resolve(name), join(folder, name), { recursive: true });
  }
  const flags = ['--ignore-scripts', '--omit=dev', '--no-audit', '--no-fund'];
  await run('npm', ['ci', ...flags], signal, { cwd: folder });
  return folder;
}

async function logIn(folder: string, at: Playground, signal: AbortSignal): Promise<string> {
  await using user = await WireUser.create(join(folder, 'bin', 'wire.js'));
  const flags = [at.issuer, '--audience', at.audience];
  return await user.login(flags, 'alice', () => undefined, signal);
}

describe('an installation without scripts', () => {
  it.runIf(process.env['WIRE_SUPPLY'] === '1')(
    'is enough for wire --help and wire login with a key file (set WIRE_SUPPLY=1)',
    async () => {
      const signal = AbortSignal.timeout(110_000);
      await using closers = new Closers();
      const folder = await installCopy(closers, signal);
      expect(existsSync(join(folder, 'node_modules', 'vitest'))).toBe(false);
      const help = await run(process.execPath, [join(folder, 'bin/wire.js'), '--help'], signal);
      expect(help.stdout).toContain('wire login');
      const playground = closers.use(await startPlayground({}, signal));
      expect(await logIn(folder, playground, signal)).toContain('Logged in at');
    },
  );
});
