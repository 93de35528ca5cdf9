import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openVault } from '../../../src/auth/open-vault.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { compileTo } from '../../fixtures/compiled.ts';
import { FakeIssuer } from '../../fixtures/fake-issuer.ts';

const PROCESSES = 8;
const ROTATIONS_EACH = 5;

let folder: string;
let issuer: FakeIssuer;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'wire-shared-'));
  issuer = await FakeIssuer.start();
});
afterEach(async () => {
  await issuer[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A provider that takes each refresh token once, and counts those that come again. */
function rotate(first: string): { reused: number; rotations: number; current: string } {
  const tally = { reused: 0, rotations: 0, current: first };
  issuer.always('refresh', (seen) => {
    if (seen.form.get('refresh_token') !== tally.current) {
      tally.reused += 1;
      return { status: 400, json: { error: 'invalid_grant' } };
    }
    tally.rotations += 1;
    tally.current = `refresh-token-${tally.rotations}`;
    // Already over: whoever asks must refresh again.
    return issuer.tokens({ refresh_token: tally.current, expires_in: 0 });
  });
  return tally;
}

describe('a refresh token that rotates', () => {
  it('is used once by eight processes that share it', async () => {
    const keyFile = path.join(folder, 'key');
    const stateDir = path.join(folder, 'state');
    await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
    const options = {
      stateDir,
      keyFile,
      insecureStorage: false,
      log: silentLog,
      clock: systemClock,
    };
    const signal = AbortSignal.timeout(60_000);
    const { vault } = await openVault(options, signal);
    const tally = rotate('refresh-token-0');
    const access = {
      token: new Secret('access-0'),
      scopes: ['openid'],
      issuedAtMs: 0,
      expiresAtMs: 1,
    };
    const refreshToken = new Secret('refresh-token-0');
    const grant = { subject: 'u1', groups: [], scopes: ['openid'], refreshToken, access };
    await vault.save({ issuer: issuer.url, client: { id: 'c1' }, grant }, signal);

    const script = 'test/fixtures/refresh-process.ts';
    await compileTo(folder, ['src/auth', 'src/lib', 'src/net', script]);
    const compiled = path.join(folder, script.replace(/ts$/, 'js'));
    const given = [compiled, stateDir, keyFile, issuer.url, `${ROTATIONS_EACH}`];
    const run = promisify(execFile);
    await Promise.all(
      Array.from({ length: PROCESSES }, async () => await run(process.execPath, given, { signal })),
    );

    expect(tally.reused).toBe(0);
    expect(tally.rotations).toBe(PROCESSES * ROTATIONS_EACH);
    const stored = await vault.load(issuer.url, signal);
    expect(stored?.grant?.refreshToken?.reveal()).toBe(tally.current);
  });
});
