/** Where logins are kept between commands, and who may change one: the rest of auth asks this. */
import type { Secret } from '../lib/secret.ts';

/** The client we are at a provider. */
export interface StoredClient {
  readonly id: string;
  /** Absent: a public client. */
  readonly secret?: Secret;
  readonly authMethod?: string;
  /** Set when wire registered it (RFC 7591): only such a client may be reused or deleted. */
  readonly registration?: StoredRegistration;
}

export interface StoredRegistration {
  /** What the client was registered for; the provider may have struck some out. */
  readonly asked: readonly string[];
  /** What the client may ask for; undefined when the provider did not say. */
  readonly scopes?: readonly string[];
  /** RFC 7592: where and with what the client is deleted. */
  readonly uri?: string;
  readonly token?: Secret;
}

/** What a person granted. */
export interface StoredGrant {
  readonly subject: string;
  readonly username?: string;
  readonly groups: readonly string[];
  /** As granted, sent again at each refresh. */
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly refreshToken?: Secret;
  /** Ms since the epoch by our clock; undefined when the token does not say. */
  readonly refreshExpiresAtMs?: number;
  readonly access: StoredAccess;
}

/** The newest access token. An earlier one is dead at INDIGO IAM as soon as this one is made. */
export interface StoredAccess {
  readonly token: Secret;
  readonly audience?: string;
  readonly scopes: readonly string[];
  /** Our wall clock when it was asked for, ms since the epoch. */
  readonly issuedAtMs: number;
  /** Ms since the epoch by our clock; undefined when neither reply nor token says. */
  readonly expiresAtMs?: number;
}

export interface StoredLogin {
  /** Without a trailing slash: the key. */
  readonly issuer: string;
  readonly client: StoredClient;
  /** Absent after a logout that kept the registered client. */
  readonly grant?: StoredGrant;
}

/** @throws WireError `config` from each when the vault is damaged, unsafe or cannot be opened. */
export interface TokenVault {
  list(signal: AbortSignal): Promise<readonly StoredLogin[]>;

  /** `issuer` with or without a trailing slash. */
  load(issuer: string, signal: AbortSignal): Promise<StoredLogin | undefined>;

  /** On stable storage when it resolves; the login that was there before is replaced. */
  save(login: StoredLogin, signal: AbortSignal): Promise<void>;

  delete(issuer: string, signal: AbortSignal): Promise<void>;

  /**
   * Runs `work` while no other process or caller runs one for the same issuer. What was loaded
   * before may be outdated by then: load again inside. `work`'s signal also aborts if the lock is
   * lost. Not re-entrant.
   */
  exclusively<T>(
    issuer: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
}
