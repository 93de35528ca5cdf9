import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openVault } from '../../../src/auth/open-vault.ts';
import type { TokenVault } from '../../../src/auth/token-vault.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { compileTo } from '../../fixtures/compiled.ts';
import { FakeIssuer } from '../../fixtures/fake-issuer.ts';

const PROCESSES = 8;
const ROTATIONS_EACH = 25;
const ROTATIONS = PROCESSES * ROTATIONS_EACH;
const KILLS = 25;

let folder: string;
let issuer: FakeIssuer;
let vault: TokenVault;
/** Of the processes, but for how many rounds. */
let given: readonly string[];
let signal: AbortSignal;

beforeEach(async () => {
  signal = AbortSignal.timeout(150_000);
  folder = await mkdtemp(path.join(tmpdir(), 'wire-shared-'));
  issuer = await FakeIssuer.start();
  const keyFile = path.join(folder, 'key');
  const stateDir = path.join(folder, 'state');
  await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
  const places = { stateDir, keyFile, insecureStorage: false, log: silentLog, clock: systemClock };
  ({ vault } = await openVault(places, signal));
  const script = 'test/fixtures/refresh-process.ts';
  await compileTo(folder, ['src/auth', 'src/lib', 'src/net', script]);
  const compiled = path.join(folder, script.replace(/ts$/, 'js'));
  given = [compiled, stateDir, keyFile, issuer.url];
});
afterEach(async () => {
  await issuer[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Tally {
  rotations: number;
  /** The only refresh token that is good; undefined once a spent one came back. */
  current: string | undefined;
  /** Spent tokens that came again, each as often as it came. */
  readonly reused: string[];
}

/** A provider that takes each refresh token once, and ends the login when one comes again. */
function rotate(): Tally {
  const tally: Tally = { rotations: 0, current: 'refresh-token-0', reused: [] };
  issuer.always('refresh', (seen) => {
    const shown = seen.form.get('refresh_token') ?? '';
    if (shown !== tally.current) {
      tally.reused.push(shown);
      tally.current = undefined;
      return { status: 400, json: { error: 'invalid_grant' } };
    }
    tally.rotations += 1;
    tally.current = `refresh-token-${tally.rotations}`;
    return issuer.tokens({ refresh_token: tally.current });
  });
  return tally;
}

async function logIn(refresh: string): Promise<void> {
  const access = { token: new Secret('access-0'), scopes: ['openid'], issuedAtMs: 0 };
  const refreshToken = new Secret(refresh);
  const grant = { subject: 'u1', groups: [], scopes: ['openid'], refreshToken, access };
  const login = { issuer: issuer.url, client: { id: 'c1' }, grant };
  await vault.exclusively(issuer.url, async (locked) => await vault.save(login, locked), signal);
}

describe('a refresh token that rotates', () => {
  it('is used once by eight processes that share it, 200 times over', async () => {
    const tally = rotate();
    await logIn('refresh-token-0');
    const run = promisify(execFile);
    const words = [...given, `${ROTATIONS_EACH}`];
    await Promise.all(
      Array.from({ length: PROCESSES }, async () => await run(process.execPath, words, { signal })),
    );
    expect(tally.reused).toEqual([]);
    expect(tally.rotations).toBe(ROTATIONS);
    const stored = await vault.load(issuer.url, signal);
    expect(stored?.grant?.refreshToken?.reveal()).toBe(tally.current);
    expect(stored?.grant?.pending).toBeUndefined();
  }, 150_000);

  it('comes back no more often than processes are killed with its answer', async () => {
    const tally = rotate();
    await logIn('refresh-token-0');
    const start = (): ChildProcess =>
      spawn(process.execPath, [...given, 'forever'], { stdio: 'ignore' });
    const running = Array.from({ length: PROCESSES }, start);
    let kills = 0;
    let logins = 1;
    try {
      while (kills < KILLS || tally.rotations < ROTATIONS) {
        signal.throwIfAborted();
        await sleep(20 + Math.random() * 150);
        if (kills < KILLS) {
          kills += 1;
          const index = Math.floor(Math.random() * PROCESSES);
          await killed(running[index]);
          running[index] = start();
        }
        if (tally.current === undefined) {
          // The person does what the error says. Only now: nothing had deleted the old login.
          expect((await vault.load(issuer.url, signal))?.grant?.refreshToken).toBeDefined();
          tally.current = `refresh-of-login-${logins}`;
          logins += 1;
          await logIn(tally.current);
        }
      }
    } finally {
      await Promise.all(running.map(killed));
    }
    // Each kill leaves one doubtful token at most, and who finds it tries it once.
    expect(tally.reused.length).toBeLessThanOrEqual(kills);
    expect(tally.rotations).toBeGreaterThanOrEqual(ROTATIONS);
  }, 160_000);
});

async function killed(child: ChildProcess | undefined): Promise<void> {
  if (child?.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
