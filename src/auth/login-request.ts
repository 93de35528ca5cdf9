/** What a login is asked for. */
import type { Secret } from '../lib/secret.ts';

export interface ClientOptions {
  readonly id: string;
  readonly secret?: Secret;
}

/** `device`: a code, approved anywhere. `browser`: a browser of this machine. */
export type LoginFlow = 'device' | 'browser';

export interface LoginRequest {
  /** With or without a trailing slash. */
  readonly issuer: string;
  /** A client registered by hand; absent: wire registers one. */
  readonly client?: ClientOptions;
  readonly scopes: readonly string[];
  /** Whom the access tokens shall be for: what the STS expects. */
  readonly audience?: string;
  /** What the person sees on the approval page; 4 to 256 characters. */
  readonly clientName: string;
  /** Register without a secret. */
  readonly publicClient?: boolean;
  /** Default: `device`. */
  readonly flow?: LoginFlow;
}
