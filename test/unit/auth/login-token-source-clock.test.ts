import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { LoginTokenSource } from '../../../src/auth/login-token-source.ts';
import type { BootMoment, Clock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { unsignedJwt } from '../../fixtures/fake-issuer.ts';
import { MemoryVault } from '../../fixtures/memory-vault.ts';

const signal = new AbortController().signal;
const ISSUER = 'https://iam.example';
/** True time begins here, ms since the epoch. */
const START = 1_800_000_000_000;
const LIFE_S = 3600;
const MINUTE = 60_000;

/** A machine in a world of true time: its wall clock is wrong, and its monotonic clock sleeps. */
class Machine implements Clock {
  trueMs = START;
  wrongByMs = 0;
  asleepMs = 0;
  /** Whether it has a clock that nobody sets. */
  readonly #hasBootClock: boolean;

  constructor(hasBootClock: boolean) {
    this.#hasBootClock = hasBootClock;
  }

  now(): number {
    return this.trueMs + this.wrongByMs;
  }

  monotonic(): number {
    return this.trueMs - START - this.asleepMs;
  }

  boot(): BootMoment | undefined {
    return this.#hasBootClock ? { start: 'one', ms: this.trueMs - START } : undefined;
  }

  async sleep(_: number, waiting: AbortSignal): Promise<void> {
    await new Promise<void>((_resolve, reject) => {
      waiting.addEventListener('abort', () => reject(waiting.reason as Error), { once: true });
    });
  }
}

/** How a provider tells the life of its tokens. */
type Telling = 'expires_in' | 'exp' | 'both' | 'exp, without a Date header';

class Provider {
  readonly #machine: Machine;
  readonly #telling: Telling;
  refreshes = 0;
  /** True end of each access token. */
  readonly ends = new Map<string, number>();

  constructor(machine: Machine, telling: Telling) {
    this.#machine = machine;
    this.#telling = telling;
  }

  readonly fetch: typeof fetch = async (url) => {
    const isDiscovery = url === `${ISSUER}/.well-known/openid-configuration`;
    const body = isDiscovery
      ? { issuer: ISSUER, token_endpoint: `${ISSUER}/token` }
      : this.#tokens();
    const isDated = this.#telling !== 'exp, without a Date header';
    const date = new Date(this.#machine.trueMs).toUTCString();
    return await Promise.resolve(Response.json(body, { headers: isDated ? { date } : {} }));
  };

  #tokens(): Readonly<Record<string, unknown>> {
    this.refreshes += 1;
    const iat = Math.floor(this.#machine.trueMs / 1000);
    const exp = iat + LIFE_S;
    const token = unsignedJwt({ jti: `${this.refreshes}`, iat, exp });
    this.ends.set(token, exp * 1000);
    const access_token = this.#telling === 'expires_in' ? `opaque-${this.refreshes}` : token;
    this.ends.set(access_token, exp * 1000);
    const isTold = this.#telling === 'expires_in' || this.#telling === 'both';
    // OpenID Connect Core §12.2 lets a refresh return one: its times are checked by the same clock.
    const claims = { iss: ISSUER, sub: 'alice', aud: 'client-0', iat, exp: iat + 600 };
    return {
      access_token,
      token_type: 'Bearer',
      id_token: `${unsignedJwt(claims).replace(/^[^.]*/, rs256)}c2lnbmVk`,
      ...(isTold && { expires_in: LIFE_S }),
    };
  }
}

const rs256 = Buffer.from(JSON.stringify({ alg: 'RS256' })).toString('base64url');

interface Step {
  readonly kind: 'pass' | 'suspend' | 'set' | 'set back while asleep' | 'other process';
  readonly ms: number;
}

const steps = (kinds: readonly Step['kind'][]): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.record({ kind: fc.constantFrom(...kinds), ms: fc.integer({ min: 0, max: 130 * MINUTE }) }),
    { maxLength: 40, size: 'max' },
  );

function move(machine: Machine, { kind, ms }: Step): void {
  switch (kind) {
    case 'pass':
      machine.trueMs += ms % (20 * MINUTE);
      break;
    case 'suspend':
      machine.trueMs += ms;
      machine.asleepMs += ms;
      break;
    case 'set':
      machine.wrongByMs = (ms % (20 * MINUTE)) - 10 * MINUTE;
      break;
    case 'set back while asleep':
      machine.trueMs += ms;
      machine.asleepMs += ms;
      machine.wrongByMs = -10 * MINUTE;
      break;
    case 'other process':
      break;
  }
}

/** Takes a token after each step, and wants it alive by the provider's clock. */
async function live(machine: Machine, telling: Telling, history: readonly Step[]): Promise<void> {
  const provider = new Provider(machine, telling);
  const vault = new MemoryVault();
  const access = { token: new Secret('access-of-the-login'), scopes: ['openid'], issuedAtMs: 0 };
  const refreshToken = new Secret('refresh-of-the-login');
  const grant = { subject: 'alice', groups: [], scopes: ['openid'], refreshToken, access };
  await vault.save({ issuer: ISSUER, client: { id: 'client-0' }, grant });
  const context = { vault, clock: machine, log: silentLog, http: { fetch: provider.fetch } };
  let source = new LoginTokenSource({ issuer: ISSUER, context });
  let passedMs = 0;
  for (const step of [{ kind: 'pass', ms: 0 } as const, ...history]) {
    const before = machine.trueMs;
    move(machine, step);
    passedMs += machine.trueMs - before;
    if (step.kind === 'other process') source = new LoginTokenSource({ issuer: ISSUER, context });
    const { token } = await source.accessToken(0, signal);
    expect(provider.ends.get(token.reveal())).toBeGreaterThan(machine.trueMs);
  }
  // Never more often than once for each step that made a token look old, with 20 minutes of error.
  const sets = history.filter(({ kind }) => kind.startsWith('set')).length;
  expect(provider.refreshes).toBeLessThanOrEqual(2 + passedMs / (30 * MINUTE) + sets);
}

const tellings: readonly Telling[] = ['expires_in', 'exp', 'both', 'exp, without a Date header'];

describe.each(tellings)('access tokens whose life is told by %s', (telling) => {
  it('live by the provider’s clock, however ours is set and the machine sleeps', async () => {
    const kinds = ['pass', 'suspend', 'set', 'set back while asleep', 'other process'] as const;
    await fc.assert(
      fc.asyncProperty(steps(kinds), async (history) => {
        await live(new Machine(true), telling, history);
      }),
      { numRuns: 100 },
    );
  });

  // Without a clock beyond setting, a suspend and a setting back together look like nothing.
  it.each([[['pass', 'suspend']], [['pass', 'set']]] as const)(
    'live by it within one process that has no clock beyond setting (%s)',
    async (kinds) => {
      await fc.assert(
        fc.asyncProperty(steps(kinds), async (history) => {
          await live(new Machine(false), telling, history);
        }),
        { numRuns: 60 },
      );
    },
  );
});
