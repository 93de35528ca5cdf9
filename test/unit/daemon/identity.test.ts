import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openVault } from '../../../src/auth/open-vault.ts';
import { locatePaths } from '../../../src/config/paths.ts';
import { knownLogins, logOut } from '../../../src/daemon/identity.ts';
import type { Surroundings } from '../../../src/daemon/surroundings.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';
import { euid, Folder, jwt, never, refusal } from '../auth/sources/source-bench.ts';

const issuer = 'https://iam.example';
let folder: Folder;

beforeEach(async () => {
  folder = await Folder.make();
  await writeFile(folder.at('key'), randomBytes(32), { mode: 0o600 });
});
afterEach(async () => await folder[Symbol.asyncDispose]());

function surroundings(keyFile: string): Surroundings {
  const places = { WIRE_STATE_DIR: folder.at('state'), WIRE_RUNTIME_DIR: folder.at('run') };
  const { path: home, path: temporaryDir } = folder;
  const paths = locatePaths({ environment: places, home, uid: euid, temporaryDir });
  const environment = { WIRE_KEY_FILE: keyFile, WIRE_NO_KEYCHAIN: '1' };
  const facts = { paths, environment, uid: euid, gid: 0, pid: 1, version: '0' };
  const atExit = (): Disposable => ({ [Symbol.dispose]: () => undefined });
  return { ...facts, clock: systemClock, log: silentLog, network: plainNetwork, http: {}, atExit };
}

/** @param subject as a provider named it. */
async function logIn(subject: string): Promise<void> {
  const places = { stateDir: folder.at('state'), keyFile: folder.at('key') };
  const options = { ...places, insecureStorage: false, log: silentLog, clock: systemClock };
  const { vault } = await openVault(options, never);
  const access = { token: new Secret(jwt({})), scopes: [], issuedAtMs: Date.now() };
  const grant = { subject, groups: [], scopes: [], access };
  await vault.save({ issuer, client: { id: 'client' }, grant }, never);
}

const nobodyAnswers: typeof fetch = async () => {
  return await Promise.reject(new TypeError('fetch failed'));
};

describe('knownLogins', () => {
  it('are those of the vault', async () => {
    await logIn('alice');
    const { logins, trouble } = await knownLogins(surroundings(folder.at('key')), never);
    expect(trouble).toBeUndefined();
    expect(logins).toMatchObject([{ issuer, who: 'alice' }]);
  });

  it('are none before the first login', async () => {
    expect(await knownLogins(surroundings(folder.at('key')), never)).toEqual({ logins: [] });
  });

  it('say why they cannot be read where the key of the vault is not to be had', async () => {
    await logIn('alice');
    const { logins, trouble } = await knownLogins(surroundings(folder.at('no-key')), never);
    expect(logins).toEqual([]);
    expect(trouble?.kind).toBe('config');
    expect(trouble?.facts.next).toBeDefined();
  });

  it('still end at an abort', async () => {
    await logIn('alice');
    const aborted = AbortSignal.abort(new Error('stopped'));
    await expect(knownLogins(surroundings(folder.at('key')), aborted)).rejects.toThrow('stopped');
  });

  it('name nobody in a way that steers a terminal', async () => {
    await logIn('al\x1b[2Jice');
    const { logins } = await knownLogins(surroundings(folder.at('key')), never);
    expect(logins[0]?.who).toBe('al [2Jice');
  });
});

describe('logOut while the provider is away', () => {
  it('says what is left there, and where a person can end it', async () => {
    await logIn('alice');
    const gone = { ...surroundings(folder.at('key')), http: { fetch: nobodyAnswers } };
    const { notes } = await logOut(undefined, false, gone, never);
    expect(notes).toEqual([
      expect.stringMatching(/^the provider still knows the login: .*; end it on the pages of http/),
    ]);
    expect(await knownLogins(gone, never)).toEqual({ logins: [] });
  });
});

describe('logOut where nobody is logged in', () => {
  it.each([undefined, issuer, 'https://other.example'])(
    'does not ask to log in first: %s',
    async (named) => {
      if (named !== issuer) await logIn('alice');
      if (named === undefined) await logOut(issuer, true, surroundings(folder.at('key')), never);
      const error = await refusal(logOut(named, false, surroundings(folder.at('key')), never));
      expect(error.kind).toBe('login-expired');
      expect(error.facts.next).toContain('wire status');
    },
  );
});
