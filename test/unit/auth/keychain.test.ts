import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { compileTo } from '../../fixtures/compiled.ts';

const run = promisify(execFile);
let folder: string;
let modules: string;

/** Sets a value, reads it and another, and says what came of it. */
const PROGRAM = `
  import { systemKeychain } from './src/auth/keychain.js';
  import { systemClock } from './src/lib/clock.js';
  const keychain = systemKeychain(systemClock);
  const { signal } = new AbortController();
  try {
    await keychain.set('account', 'value', signal);
    const found = await keychain.get('account', signal);
    const missing = await keychain.get('another', signal);
    console.log(JSON.stringify({ found, missing: missing === undefined }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
`;

/** keytar's shape: CommonJS, null for what is not there. */
const KEYTAR = `
  const kept = new Map();
  exports.setPassword = async (service, account, value) => {
    kept.set(service + ' ' + account, 'by keytar: ' + value);
  };
  exports.getPassword = async (service, account) => kept.get(service + ' ' + account) ?? null;
`;

const KEYRING = `
  const kept = new Map();
  exports.AsyncEntry = class {
    constructor(service, account, options) {
      this.name = service + ' ' + account + ' ' + JSON.stringify(options);
    }
    async setPassword(value) { kept.set(this.name, this.name + ': ' + value); }
    async getPassword() { return kept.get(this.name) ?? null; }
  };
`;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'wire-keychain-'));
  modules = path.join(folder, 'node_modules');
  await compileTo(folder, ['src/lib', 'src/auth/keychain.ts']);
  await writeFile(path.join(folder, 'program.js'), PROGRAM);
});
beforeEach(async () => {
  await rm(modules, { recursive: true, force: true });
  await mkdir(modules);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

async function install(name: string, source: string): Promise<void> {
  const place = path.join(modules, name);
  await mkdir(place, { recursive: true });
  await writeFile(path.join(place, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
  await writeFile(path.join(place, 'index.js'), source);
}

async function said(): Promise<unknown> {
  const { stdout } = await run(process.execPath, [path.join(folder, 'program.js')]);
  return JSON.parse(stdout);
}

describe('the keychain of the system', () => {
  it('is reached by @napi-rs/keyring, which may not put the key into the session keyring', async () => {
    await install('@napi-rs/keyring', KEYRING);
    await install('keytar', KEYTAR);
    const found = 'wire account {"linux":{"store":"secret-service"}}: value';
    expect(await said()).toEqual({ found, missing: true });
  });

  it.each([
    ['is not installed', undefined],
    ['has no build for this system', 'throw new Error("Cannot find native binding")'],
  ])('is reached by keytar when the other %s', async (_, keyring) => {
    if (keyring !== undefined) await install('@napi-rs/keyring', keyring);
    await install('keytar', KEYTAR);
    expect(await said()).toEqual({ found: 'by keytar: value', missing: true });
  });

  it('that does not answer is not asked again through keytar', async () => {
    await install('@napi-rs/keyring', KEYRING.replace('kept.set(', 'throw new Error("locked");('));
    await install('keytar', KEYTAR);
    expect(await said()).toEqual({ error: 'locked' });
  });

  it('is refused in one line where neither loads', async () => {
    await install('@napi-rs/keyring', 'throw new Error("no binding\\nfor this")');
    expect(await said()).toEqual({
      error: 'neither @napi-rs/keyring nor keytar loads (no binding)',
    });
  });
});
