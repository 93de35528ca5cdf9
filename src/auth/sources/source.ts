/**
 * A place where access tokens may come from, as the chain sees it. Looking makes no lasting change
 * and hands out nothing; a place that holds something unusable throws, so that a person never gets
 * another identity than the one he thinks he set up.
 */
import type { TokenSource } from '../token-source.ts';
import type { StoredGrant } from '../token-vault.ts';

/** The environment of the process, as it was started. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Every kind of source. The order in which they are looked for is the chain's. */
export type SourceName =
  | 'file'
  | 'login'
  | 'wlcg'
  | 'web-identity'
  | 'hub'
  | 'oidc-agent'
  | 'mytoken';

export interface FoundSource {
  /** For people: `the file /run/token`, `BEARER_TOKEN`. Never a secret. */
  readonly place: string;
  /** The provider of its tokens, where that is known without asking anybody. */
  readonly issuer?: string;
  readonly tokens: TokenSource & Partial<AsyncDisposable>;
  /** Its tokens are what they are: no other audience, no narrower scope can be had. */
  readonly fixed: boolean;
  /** What a person should know of it: a file that others may read. */
  readonly notes: readonly string[];
  /** What the same place says of the role to assume. */
  readonly role?: string;
  readonly sessionName?: string;
  /** The login behind it, where wire keeps one. */
  readonly grant?: (signal: AbortSignal) => Promise<StoredGrant | undefined>;
}

/** What looking at one place gives. */
export type Finding =
  | { readonly there: true; readonly source: FoundSource }
  /** `why` is a clause: `BEARER_TOKEN is not set`. */
  | { readonly there: false; readonly why: string };

/** One link of the chain. */
export interface Candidate {
  readonly name: SourceName;
  /** @throws WireError when it is there and cannot be used. */
  look(signal: AbortSignal): Promise<Finding>;
}

/** What tokens shall be like. */
export interface Wanted {
  readonly issuer?: string;
  readonly audience?: string;
  readonly scopes?: readonly string[];
}

export function notThere(why: string): Finding {
  return { there: false, why };
}

/** The value of a variable; an empty one is an unset one, as for most programs. */
export function variable(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === '' ? undefined : value;
}
