/** What tests and the demo can do to a running IAM, in process or over HTTP. */
import { randomUUID } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { DialectServer, IamEndpoint } from './dialect-server.ts';
import type { Faults, IamFault } from './faults.ts';
import { type IamRequest, jsonReply, type Reply } from './message.ts';
import type { IamLifetimes, IamUser } from './options.ts';
import type { Settings } from './settings.ts';

export interface MintOptions {
  readonly audience?: string | readonly string[];
  /** Default 3600; negative: a token that has expired. */
  readonly expiresInSeconds?: number;
}

export interface IamControls {
  /** Requests that arrived, by endpoint. */
  counters(): Readonly<Record<IamEndpoint, number>>;
  resetCounters(): void;
  addFault(fault: IamFault): void;
  clearFaults(): void;
  /** For tokens and codes given out from now on, in seconds. */
  setLifetimes(lifetimes: Partial<IamLifetimes>): void;
  /** @throws Error when nobody has that name. */
  changeUser(name: string, change: UserChange): void;
  expireRefreshTokens(): void;
  /** Revokes every refresh and access token. */
  revokeAll(): void;
  /** Forgets a registered client with all that it was given, as an administrator may. */
  deleteClient(clientId: string): void;
  /** Signs with a new key; the old one stays published unless `keepOld` is false. */
  rotateKey(keepOld?: boolean): Promise<void>;
  /** A token of this IAM's own key with any claims: `iss`, `iat`, `exp`, `jti` are filled in. */
  mint(claims: JWTPayload, options?: MintOptions): Promise<string>;
}

export type UserChange = Partial<Pick<IamUser, 'disabled' | 'aupSigned' | 'groups'>>;

export function createControls(
  settings: Settings,
  faults: Faults,
  server: DialectServer,
): IamControls {
  return {
    counters: () => faults.counters,
    resetCounters: () => faults.resetCounters(),
    addFault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    setLifetimes: (lifetimes) => settings.setLifetimes(lifetimes),
    changeUser: (name, change) => settings.people.change(name, change),
    expireRefreshTokens: () => server.expireRefreshTokens(),
    revokeAll: () => server.revokeAll(),
    deleteClient: (clientId) => server.deleteClient(clientId),
    rotateKey: async (keepOld = true) => await settings.keys.rotate(keepOld),
    mint: async (claims, options = {}) => {
      const iat = settings.now() + settings.skewSeconds;
      const exp = iat + (options.expiresInSeconds ?? 3600);
      const audience = options.audience === undefined ? {} : { aud: copy(options.audience) };
      const filled = { iss: settings.issuer, iat, exp, jti: randomUUID(), ...audience, ...claims };
      return await settings.keys.sign(filled);
    },
  };
}

function copy(audience: string | readonly string[]): string | string[] {
  return typeof audience === 'string' ? audience : [...audience];
}

/** Where the controls live over HTTP, for child processes. */
export const CONTROL_PATH = '/_playground/iam/';

/**
 * One control over HTTP: `GET counters`; `POST` of JSON to `faults`, `clear-faults`,
 * `reset-counters`, `lifetimes`, `user` (`{name, …change}`), `expire-refresh-tokens`, `revoke-all`,
 * `delete-client` (`{clientId}`), `rotate-key` (`{keepOld}`) and `mint` (`{claims, audience, expiresInSeconds}` → `{token}`).
 */
export async function answerControl(request: IamRequest, controls: IamControls): Promise<Reply> {
  const name = request.path.slice(CONTROL_PATH.length);
  if (request.method === 'GET' && name === 'counters') return jsonReply(200, controls.counters());
  if (request.method !== 'POST') return jsonReply(405, { error: 'POST, or GET counters' });
  try {
    // The playground trusts its own tests: a wrong shape shows itself in what they then see.
    const asked = JSON.parse(request.body === '' ? '{}' : request.body) as Orders;
    return jsonReply(200, await obey(name, asked, controls));
  } catch (error) {
    return jsonReply(400, { error: error instanceof Error ? error.message : 'not understood' });
  }
}

/** The fields of every control's body together. */
type Orders = IamFault &
  Partial<IamLifetimes> &
  UserChange &
  MintOptions & {
    readonly name: string;
    readonly keepOld?: boolean;
    readonly clientId?: string;
    readonly claims?: JWTPayload;
  };

async function obey(name: string, asked: Orders, controls: IamControls): Promise<unknown> {
  switch (name) {
    case 'faults':
      controls.addFault(asked);
      return {};
    case 'clear-faults':
      controls.clearFaults();
      return {};
    case 'reset-counters':
      controls.resetCounters();
      return {};
    case 'lifetimes':
      controls.setLifetimes(asked);
      return {};
    case 'user': {
      const { name: user, ...change } = asked;
      controls.changeUser(user, change);
      return {};
    }
    case 'expire-refresh-tokens':
      controls.expireRefreshTokens();
      return {};
    case 'revoke-all':
      controls.revokeAll();
      return {};
    case 'delete-client':
      controls.deleteClient(asked.clientId ?? '');
      return {};
    case 'rotate-key':
      await controls.rotateKey(asked.keepOld);
      return {};
    case 'mint':
      return { token: await controls.mint(asked.claims ?? {}, asked) };
    default:
      throw new Error(`there is no control ${name}`);
  }
}
