/** What the `indigo` dialect remembers. All times are seconds since the epoch. */
import { randomBytes, randomUUID } from 'node:crypto';

export interface RegisteredClient {
  readonly clientId: string;
  readonly secret: string | undefined;
  readonly name: string;
  readonly grantTypes: readonly string[];
  readonly scope: readonly string[];
  readonly authMethod: string;
  readonly redirectUris: readonly string[];
  /** Absent for pre-registered clients and for those of a logged-in person. */
  readonly registrationToken: string | undefined;
  readonly createdAtMs: number;
}

/** A device login under way. */
export interface DeviceLogin {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly clientId: string;
  readonly scope: readonly string[];
  /** Asked for at the device endpoint by `resource`. */
  readonly resource: readonly string[];
  readonly expiresAt: number;
  /** `sub` of the person who approved. Denial leaves no mark, as at INDIGO IAM. */
  readonly approvedBy: string | undefined;
}

export interface AuthorizationCode {
  readonly code: string;
  readonly clientId: string;
  readonly sub: string;
  readonly scope: readonly string[];
  readonly redirectUri: string;
  readonly challenge: { readonly value: string; readonly method: string } | undefined;
  readonly nonce: string | undefined;
  readonly audience: readonly string[];
  readonly expiresAt: number;
}

/** One login of one client: what a refresh token stands for. */
export interface Login {
  readonly id: string;
  readonly clientId: string;
  readonly sub: string;
  readonly scope: readonly string[];
  /** Given at the poll: counts again at a refresh that names none. */
  readonly audience: readonly string[];
  /** Whether `audience` came as `resource`: then nothing else may be asked for later. */
  readonly bound: boolean;
}

export interface RefreshToken {
  readonly value: string;
  readonly login: Login;
  readonly expiresAt: number;
}

export interface AccessTokenRecord {
  readonly value: string;
  readonly login: Login;
  readonly scope: readonly string[];
  readonly audience: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export class IndigoStore {
  readonly clients = new Map<string, RegisteredClient>();
  readonly deviceLogins = new Map<string, DeviceLogin>();
  readonly authorizationCodes = new Map<string, AuthorizationCode>();
  readonly refreshTokens = new Map<string, RefreshToken>();
  readonly accessTokens = new Map<string, AccessTokenRecord>();
  /** Browser sessions: cookie → `sub`. */
  readonly sessions = new Map<string, string>();
  /** `sub clientId` of consents that need no page any more. */
  readonly remembered = new Set<string>();

  byUserCode(typed: string): DeviceLogin | undefined {
    const userCode = typed.toUpperCase();
    return [...this.deviceLogins.values()].find((login) => login.userCode === userCode);
  }

  /** The access tokens of a login are dead from now on. */
  killAccessTokens(login: Login): void {
    for (const [value, token] of this.accessTokens) {
      if (token.login.id === login.id) this.accessTokens.delete(value);
    }
  }

  /** Forgets a client with everything it was given. */
  deleteClient(clientId: string): void {
    this.clients.delete(clientId);
    const owned = (entry: { clientId: string }): boolean => entry.clientId === clientId;
    dropWhere(this.deviceLogins, owned);
    dropWhere(this.authorizationCodes, owned);
    dropWhere(this.refreshTokens, (token) => owned(token.login));
    dropWhere(this.accessTokens, (token) => owned(token.login));
  }

  revokeAll(): void {
    this.refreshTokens.clear();
    this.accessTokens.clear();
  }
}

function dropWhere<T>(map: Map<string, T>, matches: (value: T) => boolean): void {
  for (const [key, value] of map) if (matches(value)) map.delete(key);
}

/** Six characters that may hold `-` and `_`: whoever regroups or strips them breaks the login. */
const USER_CODE_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_';

export function newUserCode(): string {
  return Array.from(randomBytes(6), (byte) =>
    USER_CODE_CHARACTERS.charAt(byte % USER_CODE_CHARACTERS.length),
  ).join('');
}

export const newId = (): string => randomUUID();

/** About 86 characters, as INDIGO IAM's. */
export const newSecret = (): string => randomBytes(64).toString('base64url');
