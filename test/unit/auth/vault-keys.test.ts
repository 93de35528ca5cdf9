import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { KernelKeyring } from '../../../src/auth/kernel-keyring.ts';
import { systemKernelKeyring } from '../../../src/auth/kernel-keyring.ts';
import type { Keychain } from '../../../src/auth/keychain.ts';
import { type OpenedVault, openVault, type VaultOptions } from '../../../src/auth/open-vault.ts';
import { type SystemdCreds, systemSystemdCreds } from '../../../src/auth/systemd-creds.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';

const signal = new AbortController().signal;
const isRoot = process.geteuid?.() === 0;
let folder: string;
let stateDir: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'wire-vault-'));
  stateDir = path.join(folder, 'state');
  file = path.join(stateDir, 'logins.sealed');
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** A keychain, a systemd-creds and a kernel keyring that work until they are told not to. */
class Places {
  readonly values = new Map<string, string>();
  readonly refusals = new Map<string, string>();
  readonly asked: string[] = [];

  #ask(name: string): void {
    this.asked.push(name);
    const refusal = this.refusals.get(name);
    if (refusal !== undefined) throw new Error(refusal);
  }

  readonly keychain: Keychain = {
    get: (account) => this.#later('keychain', () => this.values.get(account)),
    set: (account, value) => this.#later('keychain', () => void this.values.set(account, value)),
  };

  readonly systemdCreds: SystemdCreds = {
    encrypt: (value) => this.#later('systemd-creds', () => `sealed${value.toString('hex')}`),
    decrypt: (credential) =>
      this.#later('systemd-creds', () => Buffer.from(credential.slice(6), 'hex')),
  };

  readonly kernelKeyring: KernelKeyring = {
    add: (name, value) => {
      this.#ask('kernel-keyring');
      this.values.set(name, value.toString('base64'));
    },
    read: (name) => {
      this.#ask('kernel-keyring');
      const found = this.values.get(name);
      return found === undefined ? undefined : Buffer.from(found, 'base64');
    },
  };

  async #later<T>(name: string, work: () => T): Promise<T> {
    await Promise.resolve();
    this.#ask(name);
    return work();
  }
}

async function open(places: Places, over: Partial<VaultOptions> = {}): Promise<OpenedVault> {
  const { keychain, systemdCreds, kernelKeyring } = places;
  const base = { stateDir, insecureStorage: false, log: silentLog, clock: systemClock };
  return await openVault({ ...base, keychain, systemdCreds, kernelKeyring, ...over }, signal);
}

const login = {
  issuer: 'https://iam.example',
  client: { id: 'c1', secret: new Secret('the-client-secret') },
};

async function refusalOf(opening: Promise<unknown>): Promise<WireError> {
  const error: unknown = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof WireError) return error;
  throw new Error('it was not refused with a WireError', { cause: error });
}

describe('a key derived from that of the vault', () => {
  it('is the same for a purpose as long as the vault is, and tells nothing of other keys', async () => {
    const places = new Places();
    const first = (await open(places)).deriveKey('cache');
    expect(first).toHaveLength(32);
    const again = await open(places);
    expect(again.deriveKey('cache')).toEqual(first);
    expect(again.deriveKey('other')).not.toEqual(first);
    expect([...places.values.values()]).not.toContain(first.toString('base64'));
    await rm(file);
    places.values.clear();
    expect((await open(places)).deriveKey('cache')).not.toEqual(first);
  });
});

describe('a new vault chooses the first place that keeps its key', () => {
  it.each([
    [[], 'the keychain'],
    [['keychain'], 'systemd-creds'],
    [['keychain', 'systemd-creds'], 'the kernel keyring'],
  ])('without %j it is in %s, and opens again from there', async (missing, place) => {
    const places = new Places();
    for (const name of missing) places.refusals.set(name, 'not here');
    const { vault, storedIn } = await open(places);
    expect(storedIn).toContain(`its key in ${place}`);
    await vault.save(login, signal);
    places.refusals.clear();
    const again = await open(places);
    expect(again.storedIn).toBe(storedIn);
    expect((await again.vault.load('https://iam.example', signal))?.client.id).toBe('c1');
  });

  it('takes the file that WIRE_KEY_FILE names before all of them, and asks none', async () => {
    const places = new Places();
    const keyFile = path.join(folder, 'key');
    await writeFile(keyFile, 'a passphrase', { mode: 0o600 });
    const { storedIn } = await open(places, { keyFile });
    expect(storedIn).toContain(keyFile);
    expect(places.asked).toEqual([]);
  });

  it('says in one line what was tried and why each was of no use', async () => {
    const places = new Places();
    places.refusals.set('keychain', 'no\nD-Bus');
    places.refusals.set('systemd-creds', 'there is no such program');
    places.refusals.set('kernel-keyring', 'the kernel says EPERM');
    const error = await refusalOf(open(places));
    expect(error.kind).toBe('config');
    expect(error.facts.answered).toBe(
      'keychain: no D-Bus; systemd-creds: there is no such program; kernel-keyring: the kernel says EPERM',
    );
    expect(error.facts.next).toMatch(/WIRE_KEY_FILE.*--insecure-storage/);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });

  it('takes a plain file only if that was allowed, and only after the others', async () => {
    const places = new Places();
    const allowed = await open(places, { insecureStorage: true });
    expect(allowed.storedIn).toContain('the keychain');
    await rm(stateDir, { recursive: true });
    for (const name of ['keychain', 'systemd-creds', 'kernel-keyring']) {
      places.refusals.set(name, 'not here');
    }
    const plain = await open(places, { insecureStorage: true });
    expect(plain.storedIn).toContain(`the plain file ${path.join(stateDir, 'vault.key')}`);
  });

  it('keeps the key itself in none of its files', async () => {
    const places = new Places();
    places.refusals.set('keychain', 'not here');
    places.refusals.set('systemd-creds', 'not here');
    await open(places);
    const [key = ''] = places.values.values();
    const content = await readFile(file, 'utf8');
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    expect(content).not.toContain(key);
    expect(content).not.toContain(Buffer.from(key, 'base64').toString('hex'));
  });
});

describe('a vault whose key is not to be had', () => {
  it('is not opened with a new key when the keychain has lost the old one', async () => {
    const places = new Places();
    await open(places);
    places.values.clear();
    const error = await refusalOf(open(places));
    expect(error.facts.answered).toMatch(/has no key of this vault/);
    expect(error.facts.next).toMatch(/remove .*logins\.sealed and log in again/);
    expect(places.values.size).toBe(0);
  });

  it('says to log in again when the kernel keyring has ended', async () => {
    const places = withoutDesktop();
    await (await open(places)).vault.save(login, signal);
    places.values.clear();
    const error = await refusalOf(open(places));
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toMatch(/kernel keyring.*session or a reboot.*log in again/);
  });

  it('is begun anew by a login then, and a mount that had it open follows', async () => {
    const places = withoutDesktop();
    const mounted = await open(places);
    await mounted.vault.save(login, signal);
    places.values.clear();
    const { vault } = await open(places, { replaceLost: true });
    expect(await vault.list(signal)).toEqual([]);
    await vault.save(login, signal);
    expect(await mounted.vault.list(signal)).toHaveLength(1);
    await mounted.vault.save({ ...login, issuer: 'https://other.example' }, signal);
    expect(await vault.list(signal)).toHaveLength(2);
  });

  it('is left as it is by a login while its place only does not answer', async () => {
    const places = new Places();
    await (await open(places)).vault.save(login, signal);
    places.refusals.set('keychain', 'it is locked');
    const error = await refusalOf(open(places, { replaceLost: true }));
    expect(error.message).toContain('it is locked');
    places.refusals.clear();
    expect(await (await open(places)).vault.list(signal)).toHaveLength(1);
  });

  function withoutDesktop(): Places {
    const places = new Places();
    places.refusals.set('keychain', 'no D-Bus');
    places.refusals.set('systemd-creds', 'there is no such program');
    return places;
  }
});

describe('the header of a vault', () => {
  it('cannot be pointed at another key without the box refusing to open', async () => {
    const places = new Places();
    places.refusals.set('keychain', 'not here');
    places.refusals.set('systemd-creds', 'not here');
    await open(places);
    const [[name = '', key = ''] = []] = places.values;
    places.values.set('wire-vault-other', key);
    const content = await readFile(file, 'utf8');
    await writeFile(file, content.replace(name, 'wire-vault-other'));
    expect((await refusalOf(open(places))).message).toContain('does not open');
  });

  it('may be of one of the known sources only', async () => {
    const places = new Places();
    await open(places);
    const content = await readFile(file, 'utf8');
    for (const key of ['{"kind":"cloud"}', '{"kind":"passphrase"}', '{"kind":"systemd-creds"}']) {
      await writeFile(file, content.replace('{"kind":"keychain"}', key));
      expect((await refusalOf(open(places))).message).toContain('unknown key source');
    }
  });
});

describe('a key file', () => {
  const none = { keychain: 'none', systemdCreds: 'none', kernelKeyring: 'none' } as const;

  async function openWith(keyFile: string): Promise<OpenedVault> {
    return await open(new Places(), { ...none, keyFile });
  }

  it('may be reached by a symbolic link, as mounted secrets are', async () => {
    await writeFile(path.join(folder, 'real'), 'a passphrase', { mode: 0o440 });
    await symlink(path.join(folder, 'real'), path.join(folder, 'key'));
    expect((await openWith(path.join(folder, 'key'))).storedIn).toContain('key');
  });

  it.skipIf(!isRoot)('of another user is refused', async () => {
    const keyFile = path.join(folder, 'key');
    await writeFile(keyFile, 'a passphrase', { mode: 0o600 });
    await chown(keyFile, 65534, 65534);
    expect((await refusalOf(openWith(keyFile))).message).toContain('another user');
  });

  it.each([
    ['a folder', async () => await Promise.resolve(folder)],
    ['a pipe', async () => await Promise.resolve(pipe())],
    ['a file that everybody may read', async () => await fileOf('a passphrase', 0o644)],
    ['a file that its group may write to', async () => await fileOf('a passphrase', 0o620)],
    ['an empty file', async () => await fileOf('\n', 0o600)],
    [
      'a file of a size that no passphrase has',
      async () => await fileOf('x'.repeat(70_000), 0o600),
    ],
    ['a file that is not there', async () => await Promise.resolve(path.join(folder, 'nothing'))],
  ])('may not be %s', async (_, make) => {
    expect((await refusalOf(openWith(await make()))).kind).toBe('config');
  });

  function pipe(): string {
    const name = path.join(folder, 'pipe');
    execFileSync('mkfifo', ['-m', '600', name]);
    return name;
  }

  async function fileOf(content: string, mode: number): Promise<string> {
    const name = path.join(folder, 'key');
    await writeFile(name, content);
    await chmod(name, mode);
    return name;
  }
});

describe('the kernel keyring of this system', () => {
  const keyring = systemKernelKeyring();
  const name = `wire-vault-test-${process.pid}`;
  const refusal = refusalOfKeyring(keyring, name);

  it.skipIf(refusal !== undefined)(
    `keeps a key for other processes of this user${refusal ?? ''}`,
    () => {
      const value = Buffer.from('0123456789abcdef0123456789abcdef');
      keyring.add(name, value);
      expect(keyring.read(name)?.equals(value)).toBe(true);
      keyring.add(name, Buffer.alloc(32, 1));
      expect(keyring.read(name)?.equals(Buffer.alloc(32, 1))).toBe(true);
      const addon = path.resolve('native', 'build', `linux-${process.arch}`, 'wire.node');
      const script = `const into = Buffer.alloc(64);
        const addon = require(process.argv[1]);
        console.log(addon.keyringRead(process.argv[2], into), into[0], addon.keyringUnlink(process.argv[2]))`;
      const said = execFileSync(process.execPath, ['-e', script, addon, name], {
        encoding: 'utf8',
      });
      expect(said.trim()).toBe('32 1 0');
      expect(keyring.read(name)).toBeUndefined();
    },
  );
});

/** Undefined where it works; otherwise why not, for the name of the skipped test. */
function refusalOfKeyring(keyring: KernelKeyring, name: string): string | undefined {
  try {
    keyring.read(name);
    return undefined;
  } catch (error) {
    return ` (skipped: ${error instanceof Error ? error.message : String(error)})`;
  }
}

describe('systemd-creds', () => {
  const creds = systemSystemdCreds(systemClock);

  // Older than 256 it is for root only; a container may have none.
  const works = spawnSync('systemd-creds', ['encrypt', '--name=test', '-', '-'], { input: 'x' });

  it.skipIf(works.status !== 0 || !isRoot)(
    'seals a key that opens again, and nothing else does (as root, where it works)',
    async () => {
      const value = Buffer.from('0123456789abcdef0123456789abcdef');
      const sealed = await creds.encrypt(value, signal);
      expect(sealed).toMatch(/^[A-Za-z0-9+/]+=*$/);
      expect(sealed).not.toContain(value.toString('base64').slice(0, 20));
      expect((await creds.decrypt(sealed, signal)).equals(value)).toBe(true);
      const middle = sealed.length / 2;
      const changed = sealed[middle] === 'A' ? 'B' : 'A';
      const bad = `${sealed.slice(0, middle)}${changed}${sealed.slice(middle + 1)}`;
      await expect(creds.decrypt(bad, signal)).rejects.toThrow();
    },
  );

  it('is given the key through a pipe, never as an argument', async () => {
    // A stand-in that seals by showing its arguments, and fails on the second call.
    const script = `#!/bin/sh\ncat > "${folder}/input"\necho "$*" > "${folder}/args"\necho c2VhbGVk\n`;
    await withProgram(script, async () => {
      const value = Buffer.from('the-key-of-the-vault-is-32-bytes');
      expect(await creds.encrypt(value, signal)).toBe('c2VhbGVk');
      expect(await readFile(path.join(folder, 'input'))).toEqual(value);
      const args = await readFile(path.join(folder, 'args'), 'utf8');
      expect(args).toContain('encrypt --name=wire-vault - -');
      expect(args.includes('--user')).toBe(process.geteuid?.() !== 0);
    });
  });

  it('that fails is told with the last thing it said', async () => {
    const script = '#!/bin/sh\necho warning >&2\necho "No TPM, no key" >&2\nexit 1\n';
    await withProgram(script, async () => {
      await expect(creds.encrypt(Buffer.alloc(32), signal)).rejects.toThrow(/^No TPM, no key$/);
    });
  });

  it('that is not installed is named so', async () => {
    await withPath(folder, async () => {
      await expect(creds.encrypt(Buffer.alloc(32), signal)).rejects.toThrow('no such program');
    });
  });

  it('that hangs is ended when nobody waits for it any more', async () => {
    await withProgram(`#!/bin/sh\necho $$ > "${folder}/pid"\nexec sleep 100\n`, async () => {
      const stop = new AbortController();
      const waiting = creds.encrypt(Buffer.alloc(32), stop.signal);
      const pidFile = path.join(folder, 'pid');
      const pid = await eventually(async () => Number(await readFile(pidFile, 'utf8')));
      stop.abort(new Error('stop'));
      await expect(waiting).rejects.toThrow('stop');
      await eventually(async () => {
        const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
        return / [ZX]/.test(stat.slice(stat.lastIndexOf(')') + 1)) ? 1 : 0;
      });
    });
  });

  async function eventually(look: () => Promise<number>): Promise<number> {
    for (let tries = 0; tries < 500; tries++) {
      const seen = await look().catch(() => 0);
      if (seen > 0) return seen;
      await systemClock.sleep(10, signal);
    }
    throw new Error('it did not come to pass');
  }

  async function withProgram(script: string, work: () => Promise<void>): Promise<void> {
    await writeFile(path.join(folder, 'systemd-creds'), script, { mode: 0o755 });
    await withPath(`${folder}:${process.env['PATH'] ?? ''}`, work);
  }

  async function withPath(value: string, work: () => Promise<void>): Promise<void> {
    const before = process.env['PATH'];
    process.env['PATH'] = value;
    try {
      await work();
    } finally {
      process.env['PATH'] = before;
    }
  }
});
