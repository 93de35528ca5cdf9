/**
 * The one table of what can be set about a login and its store. Flags, `WIRE_*` environment and
 * profile keys are all derived from it, so that they cannot drift.
 */
import type { Parse } from './parsed.ts';
import { parseScopes, parseSeconds, parseUrl, parseWord } from './values.ts';

/** One thing that can be set: `--flag VALUE` > environment > `key:` of the profile > `fallback`. */
export interface Option<T> {
  /** As commander writes it: `--endpoint <url>`. */
  readonly flag: string;
  readonly environment: string;
  /** Key in a profile. */
  readonly key: string;
  readonly parse: Parse<T>;
  readonly help: string;
  readonly fallback?: T;
}

/** Every option by the name that code uses for it. */
interface OptionTable {
  readonly issuer: Option<string>;
  readonly clientId: Option<string>;
  readonly scopes: Option<readonly string[]>;
  readonly audience: Option<string>;
  readonly endpoint: Option<string>;
  readonly stsEndpoint: Option<string>;
  readonly region: Option<string>;
  readonly role: Option<string>;
  readonly durationSeconds: Option<number>;
}

export const options: OptionTable = {
  issuer: {
    flag: '--issuer <url>',
    environment: 'WIRE_ISSUER',
    key: 'issuer',
    parse: parseUrl,
    help: 'identity provider; not needed with one stored login',
  },
  clientId: {
    flag: '--client-id <id>',
    environment: 'WIRE_CLIENT_ID',
    key: 'client-id',
    parse: parseWord,
    help: 'client registered at the provider; without it wire registers one',
  },
  scopes: {
    flag: '--scope <scope...>',
    environment: 'WIRE_SCOPES',
    key: 'scopes',
    parse: parseScopes,
    help: 'scopes to ask for',
    // offline_access: without a refresh token the mount would end with the first access token.
    fallback: ['openid', 'profile', 'email', 'offline_access'],
  },
  audience: {
    flag: '--audience <audience>',
    environment: 'WIRE_AUDIENCE',
    key: 'audience',
    parse: parseWord,
    help: 'audience that the store wants in tokens',
  },
  endpoint: {
    flag: '--endpoint <url>',
    environment: 'WIRE_ENDPOINT',
    key: 'endpoint',
    parse: parseUrl,
    help: 'S3 endpoint',
  },
  stsEndpoint: {
    flag: '--sts-endpoint <url>',
    environment: 'WIRE_STS_ENDPOINT',
    key: 'sts',
    parse: parseUrl,
    help: 'STS endpoint (default: the S3 endpoint)',
  },
  region: {
    flag: '--region <region>',
    environment: 'WIRE_REGION',
    key: 'region',
    parse: parseWord,
    help: 'region that requests are signed for',
    fallback: 'us-east-1', // what MinIO, Ceph RGW and AWS take when nothing is configured
  },
  role: {
    flag: '--role <role>',
    environment: 'WIRE_ROLE',
    key: 'role',
    parse: parseWord,
    help: 'role to assume, as a name or an ARN',
  },
  durationSeconds: {
    flag: '--duration <time>',
    environment: 'WIRE_DURATION',
    key: 'duration',
    parse: parseSeconds,
    help: 'how long temporary credentials should live, such as 3600s or 1h',
  },
};

export type OptionName = keyof OptionTable;

type ValueOf<O> = O extends Option<infer T> ? T : never;

/** What is set; an absent field is set nowhere and has no fallback. */
export type Settings = { readonly [K in OptionName]?: ValueOf<OptionTable[K]> };
