/**
 * What identity costs: from `login` to the first credentials with a person who approves at once
 * (the provider's poll interval of a second included), and one renewal with a new access token.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { login } from '../../src/auth/login.ts';
import { LoginTokenSource } from '../../src/auth/login-token-source.ts';
import { openVault } from '../../src/auth/open-vault.ts';
import { approveInBrowser } from '../../src/demo/iam/browser.ts';
import { systemClock as clock } from '../../src/lib/clock.ts';
import { Closers } from '../../src/lib/closers.ts';
import { silentLog as log } from '../../src/lib/log.ts';
import { RenewingCredentials } from '../../src/sts/renewing-credentials.ts';
import { ChildProgram } from '../child-program.ts';
import type { SuiteOptions, SuiteOutcome } from '../main.ts';
import type { PlaygroundFacts } from './playground-process.ts';

/** Goals: what a person does not notice beside the poll interval, and a thousandth of an hour's CPU. */
const LOGIN_LIMIT_MS = 1500;
const RENEWAL_LIMIT_MS = 50;
const RENEWAL_CPU_LIMIT_MS = 25;

/** Renewals of one round. */
const RENEWALS = 5;
/** Half of a token's life in the playground is over by then, so that it is refreshed. */
const PAUSE_MS = 2100;

interface Sample {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export async function measureIdentity({ rounds, signal }: SuiteOptions): Promise<SuiteOutcome> {
  const script = new URL('./playground-process.js', import.meta.url);
  await using child = await ChildProgram.start<PlaygroundFacts>(script, [], signal);
  const playground = child.facts;
  const logins: number[] = [];
  const renewals: Sample[] = [];
  // The first round warms code and connections up, and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    const sample = await measureRound(playground, signal);
    if (round === 0) continue;
    logins.push(sample.loginMs);
    renewals.push(...sample.renewals);
  }
  const time = { unit: 'ms', better: 'smaller' } as const;
  const limit = (ms: number): { readonly limit: readonly number[] } => ({ limit: [ms] });
  const wall = renewals.map(({ wallMs }) => wallMs);
  const cpu = renewals.map(({ cpuMs }) => cpuMs);
  return {
    measurements: [
      { ...time, name: 'login', wire: logins, others: limit(LOGIN_LIMIT_MS) },
      { ...time, name: 'renewal', wire: wall, others: limit(RENEWAL_LIMIT_MS) },
      { ...time, name: 'renewal-cpu', wire: cpu, others: limit(RENEWAL_CPU_LIMIT_MS) },
    ],
    notes: {
      login: 'device code, approved at once, to the first credentials; poll interval 1 s',
      renewal: `refresh at the provider and AssumeRoleWithWebIdentity; ${RENEWALS} a round`,
    },
  };
}

/** One person: a vault, a login, and renewals with it. */
async function measureRound(
  { issuer, endpoint, audience, role }: PlaygroundFacts,
  signal: AbortSignal,
): Promise<{ readonly loginMs: number; readonly renewals: readonly Sample[] }> {
  await using closers = new Closers();
  const stateDir = await mkdtemp(join(tmpdir(), 'wire-bench-identity-'));
  closers.defer(async () => await rm(stateDir, { recursive: true, force: true }));
  const keyFile = join(stateDir, 'key');
  await writeFile(keyFile, crypto.getRandomValues(new Uint8Array(32)), { mode: 0o600 });
  const options = {
    stateDir,
    keyFile,
    insecureStorage: false,
    keychain: 'none',
    log,
    clock,
  } as const;
  const { vault } = await openVault(options, signal);
  const context = { vault, clock, log };
  const tokens = new LoginTokenSource({ issuer, audience, context });
  const renewal = async (): Promise<void> => {
    const sts = { tokens, endpoint, roleArn: role, sessionName: 'bench' };
    await using source = new RenewingCredentials({ ...sts, clock, log, random: Math.random });
    await source.credentials(signal);
  };
  const started = performance.now();
  let approved: Promise<void> | undefined;
  const scopes = ['openid', 'profile', 'offline_access'];
  const request = { issuer, audience, scopes, clientName: 'wire bench' };
  const code = (shown: {
    readonly userCode: string;
    readonly verificationUri: string;
    readonly verificationUriComplete?: string;
  }): void => {
    const { userCode, verificationUri, verificationUriComplete: page = verificationUri } = shown;
    approved = approveInBrowser(page, userCode, 'alice', undefined, signal);
    approved.catch(() => undefined); // awaited below
  };
  await login(request, { code }, context, signal);
  await approved;
  await renewal();
  const loginMs = performance.now() - started;
  const renewals: Sample[] = [];
  for (let nth = 0; nth < RENEWALS; nth += 1) {
    await clock.sleep(PAUSE_MS, signal);
    renewals.push(await measured(renewal));
  }
  return { loginMs, renewals };
}

async function measured(work: () => Promise<void>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  await work();
  const wallMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1000 };
}
