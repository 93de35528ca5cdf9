/** Where logins are kept between commands, and who may change one: the rest of auth asks this. */
import type { BootMoment } from '../lib/clock.ts';
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
  /** Where a browser may come back to; absent: a client of the device flow alone. */
  readonly redirectUris?: readonly string[];
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
  /** When the provider made the refresh token, by our wall clock; undefined before a refresh. */
  readonly refreshIssuedAtMs?: number;
  /** Whether the last refresh replaced the refresh token; undefined before the first. */
  readonly rotates?: boolean;
  /** Set while the refresh token may be spent without its successor being here. */
  readonly pending?: PendingRefresh;
  readonly access: StoredAccess;
}

/**
 * A refresh that was begun and whose answer is not stored. Written before the request is sent: a
 * process that is killed then leaves word that the stored refresh token is doubtful, and so is the
 * access token beside it (INDIGO IAM kills it at each refresh).
 */
export interface PendingRefresh {
  /** When the refresh token was sent first, by our wall clock. */
  readonly sentAtMs: number;
  /** The process that may have the answer (`file-lock.ts`), and which of its token sources. */
  readonly holder?: PendingHolder;
  /** When the provider refused the doubtful token: it is spent, and is not tried again. */
  readonly refusedAtMs?: number;
}

export interface PendingHolder {
  readonly process: string;
  readonly nonce: string;
}

/** The newest access token. An earlier one is dead at INDIGO IAM as soon as this one is made. */
export interface StoredAccess {
  readonly token: Secret;
  readonly audience?: string;
  /** As granted. */
  readonly scopes: readonly string[];
  /** As asked for, where the provider granted less: asking again would give no more. */
  readonly askedScopes?: readonly string[];
  /** Our wall clock when it was asked for, ms since the epoch. */
  readonly issuedAtMs: number;
  /** The same moment on a clock that nobody sets, where the system has one. */
  readonly issuedAtBoot?: BootMoment;
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
  /**
   * Another text after each change of what is stored, by whichever process. Cheap, and never
   * fails.
   */
  generation(): Promise<string>;

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
