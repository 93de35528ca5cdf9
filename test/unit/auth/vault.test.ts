import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Keychain } from '../../../src/auth/keychain.ts';
import { encodeLogins } from '../../../src/auth/login-codec.ts';
import { openVault, type VaultOptions } from '../../../src/auth/open-vault.ts';
import type { StoredLogin } from '../../../src/auth/token-vault.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import type { WireError } from '../../../src/lib/wire-error.ts';

const signal = new AbortController().signal;
// Many callers wait on it at once here.
setMaxListeners(0, signal);
let folder: string;
let stateDir: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'wire-vault-'));
  stateDir = path.join(folder, 'state');
  file = path.join(stateDir, 'logins.sealed');
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

class FakeKeychain implements Keychain {
  readonly kept = new Map<string, string>();
  error: Error | undefined;
  get(account: string): Promise<string | undefined> {
    if (this.error !== undefined) return Promise.reject(this.error);
    return Promise.resolve(this.kept.get(account));
  }
  set(account: string, value: string): Promise<void> {
    this.kept.set(account, value);
    return Promise.resolve();
  }
}

function options(over: Partial<VaultOptions> = {}): VaultOptions {
  const base = { stateDir, insecureStorage: true, log: silentLog, clock: systemClock };
  const nothing = { keychain: 'none', systemdCreds: 'none', kernelKeyring: 'none' } as const;
  return { ...base, ...nothing, ...over };
}

const open = async (over: Partial<VaultOptions> = {}) => await openVault(options(over), signal);

function loginOf(issuer: string): StoredLogin {
  return {
    issuer,
    client: {
      id: 'c1',
      secret: new Secret('client-secret'),
      authMethod: 'client_secret_basic',
      registration: {
        asked: ['openid'],
        scopes: ['openid'],
        uri: 'https://iam.example/r/c1',
        token: new Secret('registration-token'),
      },
    },
    grant: {
      subject: 'u1',
      username: 'alice',
      groups: ['a', 'b'],
      scopes: ['openid'],
      audience: 'object',
      refreshToken: new Secret('refresh-token'),
      refreshExpiresAtMs: 9,
      access: {
        token: new Secret('access-token'),
        audience: 'object',
        scopes: ['openid'],
        issuedAtMs: 1,
        expiresAtMs: 2,
      },
    },
  };
}

/** With its secrets, so that two can be compared. */
function plain(login: StoredLogin | undefined): unknown {
  return login === undefined ? undefined : JSON.parse(encodeLogins([login]));
}

describe('the vault', () => {
  it('gives back in a later process what was saved, slash or not', async () => {
    const saved = loginOf('https://iam.example/');
    await (await open()).vault.save(saved, signal);
    const { vault } = await open({ insecureStorage: false });
    const loaded = await vault.load('https://iam.example', signal);
    expect(plain(loaded)).toEqual(plain({ ...saved, issuer: 'https://iam.example' }));
    expect(loaded?.client.secret?.reveal()).toBe('client-secret');
    await vault.delete('https://iam.example/', signal);
    expect(await vault.list(signal)).toEqual([]);
  });

  it('shows nothing of a login in its files, and nobody else may read them', async () => {
    await (await open()).vault.save(loginOf('https://iam.example'), signal);
    expect((await stat(stateDir)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(stateDir)) {
      const found = path.join(stateDir, name);
      expect((await stat(found)).mode & 0o777).toBe(0o600);
      const content = await readFile(found, 'latin1');
      expect(content).not.toMatch(/iam\.example|alice|refresh|token/);
    }
  });

  it('leaves no lock or temporary file behind', async () => {
    await (await open()).vault.save(loginOf('https://iam.example'), signal);
    expect((await readdir(stateDir)).toSorted()).toEqual(['logins.sealed', 'vault.key']);
  });

  it('loses none of many saves at the same time', async () => {
    const { vault } = await open();
    const issuers = Array.from({ length: 12 }, (_, i) => `https://iam${i}.example`);
    await Promise.all(issuers.map(async (issuer) => await vault.save(loginOf(issuer), signal)));
    const names = (await vault.list(signal)).map(({ issuer }) => issuer);
    expect(names.toSorted()).toEqual(issuers.toSorted());
  });

  it('notices any changed byte', async () => {
    await (await open()).vault.save(loginOf('https://iam.example'), signal);
    const good = await readFile(file, 'utf8');
    const bad = [
      good.replace(/"box":"(.)/, (_, first: string) => `"box":"${first === 'A' ? 'B' : 'A'}`),
      good.replace('local-file', 'keychain'),
      good.replace(/"iv":"./, '"iv":"!'),
      good.slice(0, good.length / 2),
      '',
      'null',
    ];
    for (const content of bad) {
      await writeFile(file, content);
      await expect(open()).rejects.toMatchObject({ kind: 'config' });
    }
  });

  it('tells a damaged vault apart from a missing one', async () => {
    await writeFile(path.join(folder, 'junk'), 'junk');
    await open();
    await writeFile(file, 'junk');
    await expect(open()).rejects.toThrow(/not a vault/);
  });
});

describe('the places of the vault', () => {
  it.each(['logins.sealed', 'vault.key'])('refuse a symbolic link as %s', async (name) => {
    await open();
    const place = path.join(stateDir, name);
    await rename(place, path.join(folder, 'elsewhere'));
    await symlink(path.join(folder, 'elsewhere'), place);
    await expect(open()).rejects.toThrow(/symbolic link/);
  });

  it('refuse a symbolic link as the folder', async () => {
    await mkdir(path.join(folder, 'real'), { mode: 0o700 });
    await symlink(path.join(folder, 'real'), stateDir);
    await expect(open()).rejects.toThrow(/not a folder/);
  });

  it.each(['', 'logins.sealed', 'vault.key'])('refuse others reading "%s"', async (name) => {
    await open();
    const place = path.join(stateDir, name);
    await chmod(place, name === '' ? 0o755 : 0o640);
    await expect(open()).rejects.toThrow(/others may use it/);
  });

  it('do not write through a link planted for a lock', async () => {
    await open();
    const victim = path.join(folder, 'victim');
    await writeFile(victim, 'mine');
    await symlink(victim, `${file}.lock`);
    const given = AbortSignal.timeout(300);
    await expect(openVault(options(), given)).rejects.toThrow();
    expect(await readFile(victim, 'utf8')).toBe('mine');
  });
});

describe("the vault's key", () => {
  it('is kept in the keychain, one for each vault', async () => {
    const keychain = new FakeKeychain();
    const { vault, storedIn } = await open({ keychain, insecureStorage: false });
    expect(storedIn).toContain('keychain');
    await vault.save(loginOf('https://iam.example'), signal);
    expect([...keychain.kept.values()].map((key) => Buffer.from(key, 'base64').length)).toEqual([
      32,
    ]);
    expect(await readdir(stateDir)).toEqual(['logins.sealed']);
    const again = await open({ keychain });
    expect(await again.vault.list(signal)).toHaveLength(1);
  });

  it('is asked for where it was put, not where it would go now', async () => {
    const keychain = new FakeKeychain();
    await open({ keychain });
    keychain.error = new Error('locked');
    await expect(open({ keychain })).rejects.toThrow(/keychain: locked/);
  });

  it('without a safe place is refused with both ways out', async () => {
    const error: unknown = await open({ insecureStorage: false }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ kind: 'config' });
    expect((error as WireError).facts.next).toMatch(/WIRE_KEY_FILE.*--insecure-storage/);
    await expect(stat(file)).rejects.toThrow();
  });

  it('is refused from a keychain that does not keep what it is given', async () => {
    const keychain = new FakeKeychain();
    keychain.set = async () => await Promise.resolve();
    const opened = open({ keychain, insecureStorage: false });
    await expect(opened).rejects.toThrow(/did not keep/);
  });

  it.each([
    ['32 random bytes', randomBytes(32)],
    ['a passphrase', 'correct horse battery staple\n'],
  ])('may be a file of %s', async (_, content) => {
    const keyFile = path.join(folder, 'key');
    await writeFile(keyFile, content, { mode: 0o600 });
    const { vault } = await open({ keyFile, insecureStorage: false });
    await vault.save(loginOf('https://iam.example'), signal);
    const again = await open({ keyFile, insecureStorage: false });
    expect(await again.vault.list(signal)).toHaveLength(1);
    await expect(open()).rejects.toThrow(/WIRE_KEY_FILE|none is named/);
    await writeFile(keyFile, randomBytes(content.length));
    await expect(open({ keyFile })).rejects.toMatchObject({ kind: 'config' });
  });

  it('is not taken from a file that everybody may read', async () => {
    const keyFile = path.join(folder, 'key');
    await writeFile(keyFile, randomBytes(32));
    await chmod(keyFile, 0o644);
    await expect(open({ keyFile })).rejects.toThrow(/everybody/);
  });
});
