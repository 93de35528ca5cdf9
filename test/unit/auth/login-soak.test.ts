/**
 * A login in constant use with the shortest lives: tokens of 10 s, credentials of 5 s. Three
 * mounts as three processes would (nothing shared but the vault), and a fourth user that asks for
 * tokens for somebody else, which kills the mounts' tokens at INDIGO IAM.
 *
 * Runs for 20 s; for WIRE_SOAK_MINUTES when that is set.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import { openVault } from '../../../src/auth/open-vault.ts';
import type { TokenVault } from '../../../src/auth/token-vault.ts';
import { type Playground, startPlayground } from '../../../src/demo/playground.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { Closers } from '../../../src/lib/closers.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { createS3Stores } from '../../../src/s3/s3-object-stores.ts';
import { RenewingCredentials } from '../../../src/sts/renewing-credentials.ts';
import { iamLogin } from '../../fixtures/iam-login.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';
import { IamTestClient } from '../demo/iam/iam-client.ts';

const MINUTES = Number(process.env['WIRE_SOAK_MINUTES'] ?? 1 / 3);
const DURATION_MS = MINUTES * 60_000;
const TOKEN_SECONDS = 10;
const LEASE_SECONDS = 5;
const MOUNTS = 3;
/** Between two requests of one mount. */
const PAUSE_MS = 40;
/** Between two tokens for another audience. */
const FOREIGN_MS = 1700;

const kinds = [
  { iamDialect: 'standard', storeDialect: 'aws', rotateRefreshTokens: true },
  { iamDialect: 'indigo', storeDialect: 'minio', rotateRefreshTokens: false },
  { iamDialect: 'indigo', storeDialect: 'minio', rotateRefreshTokens: true },
] as const;

interface Tally {
  requests: number;
  renewals: number;
  readonly failures: unknown[];
}

describe.concurrent('a login in constant use', () => {
  it.each(kinds)(
    'never fails, with tokens of 10 s and credentials of 5 s ($iamDialect, rotation: $rotateRefreshTokens)',
    async (kind) => {
      const signal = new AbortController().signal;
      await using closers = new Closers();
      const lives = { accessTokenSeconds: TOKEN_SECONDS, leaseSeconds: LEASE_SECONDS };
      const playground = closers.use(await startPlayground({ ...kind, ...lives }, signal));
      const vaultOf = await storedLogin(playground, closers, signal);
      const tally: Tally = { requests: 0, renewals: 0, failures: [] };
      const endMs = performance.now() + DURATION_MS;
      const mounts = Array.from({ length: MOUNTS }, async () => {
        await mount(playground, await vaultOf(), tally, endMs, signal);
      });
      await Promise.all([
        ...mounts,
        askForOthers(playground, await vaultOf(), tally, endMs, signal),
      ]);
      expect(tally.failures).toEqual([]);
      // Five seconds are renewed after less than four.
      expect(tally.renewals).toBeGreaterThan((MOUNTS * DURATION_MS) / (LEASE_SECONDS * 1000));
      expect(tally.requests).toBeGreaterThan((MOUNTS * DURATION_MS) / PAUSE_MS / 10);
    },
    DURATION_MS + 60_000,
  );
});

/** A vault in a folder with a login of alice; each call opens it anew, as a process does. */
async function storedLogin(
  { iam }: Playground,
  closers: Closers,
  signal: AbortSignal,
): Promise<() => Promise<TokenVault>> {
  const folder = await mkdtemp(path.join(tmpdir(), 'wire-soak-'));
  closers.defer(async () => await rm(folder, { recursive: true, force: true }));
  const keyFile = path.join(folder, 'key');
  await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
  const places = { stateDir: path.join(folder, 'state'), keyFile, insecureStorage: false };
  const open = async (): Promise<TokenVault> =>
    (await openVault({ ...places, log: silentLog, clock: systemClock }, signal)).vault;
  const login = await iamLogin({ iam, client: await IamTestClient.discover(iam) });
  await (await open()).save(login, signal);
  return open;
}

async function mount(
  { issuer, endpoint, role, bucket }: Playground,
  vault: TokenVault,
  tally: Tally,
  endMs: number,
  signal: AbortSignal,
): Promise<void> {
  const parts = { clock: systemClock, log: silentLog };
  const tokens = new LoginTokenSource({ issuer, context: { vault, ...parts } });
  const sessionName = 'soak';
  const asked = { tokens, endpoint, sessionName, roleArn: role, random: Math.random };
  await using credentials = new RenewingCredentials({ ...asked, ...parts });
  const network = plainNetwork;
  const reach = { endpoint, region: 'us-east-1', credentials, network };
  await using stores = createS3Stores({ ...reach, ...parts });
  while (performance.now() < endMs) {
    try {
      await stores.open(bucket).list({ prefix: '' }, signal);
      tally.requests += 1;
    } catch (error) {
      tally.failures.push(error);
    }
    await systemClock.sleep(PAUSE_MS, signal);
  }
  tally.renewals += credentials.state.renewals;
}

/** Each of its tokens must live at the provider: INDIGO IAM kills all but the newest. */
async function askForOthers(
  { issuer, iam }: Playground,
  vault: TokenVault,
  tally: Tally,
  endMs: number,
  signal: AbortSignal,
): Promise<void> {
  const client = await IamTestClient.discover(iam);
  const context = { vault, clock: systemClock, log: silentLog };
  const tokens = new LoginTokenSource({ issuer, audience: 'somebody-else', context });
  while (performance.now() < endMs) {
    try {
      const { token } = await tokens.accessToken(0, signal);
      await client.bearer(client.url('userinfo_endpoint'), token.reveal());
    } catch (error) {
      tally.failures.push(error);
    }
    await systemClock.sleep(FOREIGN_MS, signal);
  }
}
