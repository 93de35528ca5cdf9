/**
 * Where the login that a hub gave to a notebook is kept between its processes. The key is derived
 * from the refresh token in their environment: whoever has that environment can open it, nobody
 * else can, and a notebook needs no keychain. A login of `wire login` is in another vault.
 */
import { hkdfSync } from 'node:crypto';
import { readdir, stat, unlink } from 'node:fs/promises';
import path from 'node:path';

import type { Clock } from '../../lib/clock.ts';
import type { Secret } from '../../lib/secret.ts';
import { ensurePrivateFolder } from '../private-file.ts';
import { SealedVault } from '../sealed-vault.ts';
import type { TokenVault } from '../token-vault.ts';

/** What makes one hub session the same for all its processes. */
export interface HubSession {
  readonly issuer: string;
  readonly clientId: string;
  /** As in the environment: the first of its line. */
  readonly refreshToken: Secret;
}

/** Longer than INDIGO IAM's refresh tokens live (30 days): what is older is of no use. */
const STALE_MS = 60 * 86_400_000;

/** @throws Error or WireError when `stateDir` cannot be used. */
export async function openHubVault(
  session: HubSession,
  stateDir: string,
  clock: Clock,
): Promise<TokenVault> {
  const folder = path.join(stateDir, 'hub');
  await ensurePrivateFolder(stateDir);
  await ensurePrivateFolder(folder);
  await removeStale(folder, clock.now());
  const name = derive(session, 'name', 16).toString('hex');
  // `key-file`: sealed with 32 bytes that come from elsewhere.
  const bytes = derive(session, 'key', 32);
  const reopen = async (): Promise<Buffer> => await Promise.resolve(bytes);
  const file = path.join(folder, `${name}.sealed`);
  return new SealedVault(file, { source: { kind: 'key-file' }, bytes }, reopen, clock);
}

/** HKDF (RFC 5869): a refresh token has more than enough chance in it to need no slow hash. */
function derive(session: HubSession, use: 'name' | 'key', bytes: number): Buffer {
  const { issuer, clientId, refreshToken } = session;
  const info = JSON.stringify(['wire hub session', use, issuer, clientId]);
  return Buffer.from(hkdfSync('sha256', refreshToken.reveal(), '', info, bytes));
}

/** Each start of a notebook server has a token of its own, and so a file. */
async function removeStale(folder: string, nowMs: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.sealed')) continue;
    const file = path.join(folder, name);
    const found = await stat(file).catch(() => undefined);
    if (found !== undefined && nowMs - found.mtimeMs > STALE_MS) {
      await unlink(file).catch(() => undefined);
    }
  }
}
