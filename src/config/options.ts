/**
 * The one table of what can be set about a login and its store. Flags, `WIRE_*` environment and
 * profile keys are all derived from it, so that they cannot drift.
 */
import { GiB, MiB, PiB } from '../lib/bytes.ts';
import type { Parse } from './parsed.ts';
import {
  type Addressing,
  addressings,
  type CacheMode,
  type Consistency,
  cacheModes,
  consistencies,
  type Encryption,
  encryptions,
  type MetricsPlace,
  parseBytesFrom,
  parseChoice,
  parseHosts,
  parseMetricsPlace,
  parseMs,
  parsePath,
  parseScopes,
  parseSeconds,
  parseSwitch,
  parseTokenSource,
  parseUrl,
  parseWord,
  type TokenSourceName,
  type WriteBackMode,
  writeBackModes,
} from './values.ts';

/** One thing that can be set: `--flag VALUE` > environment > `key:` of the profile > `fallback`. */
export interface Option<T> {
  /** As commander writes it: `--endpoint <url>`. */
  readonly flag: string;
  readonly environment: string;
  /** Key in a profile; absent for what must be said each time. */
  readonly key?: string;
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
  readonly sessionName: Option<string>;
  readonly sessionPolicy: Option<boolean>;
  readonly expiryWaitSeconds: Option<number>;
  readonly tokenSource: Option<TokenSourceName>;
  readonly tokenFile: Option<string>;
  readonly oidcAgent: Option<string>;
  readonly mytokenServer: Option<string>;
  readonly mytokenFile: Option<string>;
  readonly memoryBytes: Option<number>;
  readonly cacheMode: Option<CacheMode>;
  readonly cacheDir: Option<string>;
  readonly cacheBytes: Option<number>;
  readonly cacheEncrypted: Option<boolean>;
  readonly listTtlMs: Option<number>;
  readonly consistency: Option<Consistency>;
  readonly writeBack: Option<WriteBackMode>;
  readonly posix: Option<boolean>;
  readonly capacityBytes: Option<number>;
  readonly addressing: Option<Addressing>;
  readonly requesterPays: Option<boolean>;
  readonly encryption: Option<Encryption>;
  readonly kmsKey: Option<string>;
  readonly storageClass: Option<string>;
  readonly acl: Option<string>;
  readonly stopTimeoutMs: Option<number>;
  readonly metrics: Option<MetricsPlace>;
  readonly accessLog: Option<string>;
  readonly auditLog: Option<string>;
  readonly ca: Option<string>;
  readonly insecureHosts: Option<readonly string[]>;
  readonly endpointHosts: Option<readonly string[]>;
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
  sessionName: {
    flag: '--session-name <name>',
    environment: 'WIRE_SESSION_NAME',
    key: 'session-name',
    parse: parseWord,
    help: "name of the session in the server's logs",
    fallback: 'wire',
  },
  sessionPolicy: {
    flag: '--session-policy <on|off>',
    environment: 'WIRE_SESSION_POLICY',
    key: 'session-policy',
    parse: parseSwitch,
    help: 'ask for no more rights than the mount needs',
    fallback: true,
  },
  expiryWaitSeconds: {
    flag: '--expiry-wait <time>',
    environment: 'WIRE_EXPIRY_WAIT',
    key: 'expiry-wait',
    parse: parseSeconds,
    help: 'how long programs wait for a new login when the login has ended',
    fallback: 30,
  },
  tokenSource: {
    flag: '--token-source <name>',
    environment: 'WIRE_TOKEN_SOURCE',
    key: 'token-source',
    parse: parseTokenSource,
    help: 'where access tokens come from (default: the first there is, see `wire whoami --explain`)',
  },
  tokenFile: {
    flag: '--token-file <file>',
    environment: 'WIRE_TOKEN_FILE',
    key: 'token-file',
    parse: parsePath,
    help: 'file with an access token, read again when it changes',
  },
  oidcAgent: {
    flag: '--oidc-agent <account>',
    environment: 'WIRE_OIDC_AGENT',
    key: 'oidc-agent',
    parse: parseWord,
    help: 'account of oidc-agent to ask for tokens',
  },
  mytokenServer: {
    flag: '--mytoken-server <url>',
    environment: 'WIRE_MYTOKEN_SERVER',
    key: 'mytoken-server',
    parse: parseUrl,
    help: 'mytoken server to ask for tokens',
  },
  mytokenFile: {
    flag: '--mytoken-file <file>',
    environment: 'WIRE_MYTOKEN_FILE',
    key: 'mytoken-file',
    parse: parsePath,
    help: 'file with the mytoken; a rotated one is written back',
  },
  memoryBytes: {
    flag: '--memory <size>',
    environment: 'WIRE_MEMORY',
    key: 'memory',
    parse: parseBytesFrom(8 * MiB),
    help: 'memory for what is read, read ahead and sent, of all mounts of a process',
    fallback: 48 * MiB,
  },
  cacheMode: {
    flag: '--cache <mode>',
    environment: 'WIRE_CACHE',
    key: 'cache',
    parse: parseChoice(cacheModes),
    help: `what is kept on the local disk: ${cacheModes.join(', ')}`,
    fallback: 'minimal',
  },
  cacheDir: {
    flag: '--cache-dir <folder>',
    environment: 'WIRE_CACHE_DIR',
    key: 'cache-dir',
    parse: parsePath,
    help: 'folder of what is kept (default: ~/.cache/wire)',
  },
  cacheBytes: {
    flag: '--cache-size <size>',
    environment: 'WIRE_CACHE_SIZE',
    key: 'cache-size',
    parse: parseBytesFrom(MiB),
    help: 'most that is kept there',
    fallback: 10 * GiB,
  },
  cacheEncrypted: {
    flag: '--cache-encrypt <on|off>',
    environment: 'WIRE_CACHE_ENCRYPT',
    key: 'cache-encrypt',
    parse: parseSwitch,
    help: 'keep it encrypted, with a key from the vault of logins',
    fallback: false,
  },
  listTtlMs: {
    flag: '--list-ttl <time>',
    environment: 'WIRE_LIST_TTL',
    key: 'list-ttl',
    parse: parseMs,
    help: 'how long names and attributes are repeated without asking the store',
    fallback: 1000,
  },
  consistency: {
    flag: '--consistency <ttl|strict>',
    environment: 'WIRE_CONSISTENCY',
    key: 'consistency',
    parse: parseChoice(consistencies),
    help: 'strict: ask the store at each open, whatever the TTL',
    fallback: 'ttl',
  },
  writeBack: {
    flag: '--write-back [off|on|durable]',
    environment: 'WIRE_WRITE_BACK',
    key: 'write-back',
    parse: parseChoice(writeBackModes),
    help:
      'on: close returns when the bytes are in a local journal, and the bucket gets them later; ' +
      'durable: when that is on the disk',
    fallback: 'off',
  },
  posix: {
    flag: '--posix [on|off]',
    environment: 'WIRE_POSIX',
    key: 'posix',
    parse: parseSwitch,
    help: 'read mode, owner, times, links and attributes of every object, also what others have set',
    fallback: false,
  },
  capacityBytes: {
    flag: '--capacity <size>',
    environment: 'WIRE_CAPACITY',
    key: 'capacity',
    parse: parseBytesFrom(MiB),
    help: 'what df shows as the size of a mount',
    fallback: PiB,
  },
  addressing: {
    flag: '--addressing <auto|path|virtual>',
    environment: 'WIRE_ADDRESSING',
    key: 'addressing',
    parse: parseChoice(addressings),
    help: 'bucket in the path of URLs or in the name of the host',
    fallback: 'auto',
  },
  requesterPays: {
    flag: '--requester-pays <on|off>',
    environment: 'WIRE_REQUESTER_PAYS',
    key: 'requester-pays',
    parse: parseSwitch,
    help: 'accept to pay for requests to buckets whose owner does not',
    fallback: false,
  },
  encryption: {
    flag: '--sse <s3|kms>',
    environment: 'WIRE_SSE',
    key: 'sse',
    parse: parseChoice(encryptions),
    help: 'have the store encrypt what is written: with keys of its own, or of its key service',
  },
  kmsKey: {
    flag: '--sse-kms-key <id>',
    environment: 'WIRE_SSE_KMS_KEY',
    key: 'sse-kms-key',
    parse: parseWord,
    help: "key for --sse kms (default: the bucket's)",
  },
  storageClass: {
    flag: '--storage-class <class>',
    environment: 'WIRE_STORAGE_CLASS',
    key: 'storage-class',
    parse: parseWord,
    help: 'class of what is written, as the store names it, such as STANDARD_IA',
  },
  acl: {
    flag: '--acl <acl>',
    environment: 'WIRE_ACL',
    key: 'acl',
    parse: parseWord,
    help: 'canned ACL of what is written, such as bucket-owner-full-control',
  },
  stopTimeoutMs: {
    flag: '--stop-timeout <time>',
    environment: 'WIRE_STOP_TIMEOUT',
    key: 'stop-timeout',
    parse: parseMs,
    help: 'how long SIGTERM waits until all is saved; what is not by then stays in the journal',
    fallback: 60_000,
  },
  metrics: {
    flag: '--metrics [address]',
    environment: 'WIRE_METRICS',
    key: 'metrics',
    parse: parseMetricsPlace,
    help: 'serve metrics for Prometheus on 127.0.0.1:PORT, or on a free port that `wire status` shows',
    fallback: 'off',
  },
  accessLog: {
    flag: '--access-log <file>',
    environment: 'WIRE_ACCESS_LOG',
    key: 'access-log',
    parse: parsePath,
    help: 'note each operation of programs there, a line of JSON each',
  },
  auditLog: {
    flag: '--audit-log <file>',
    environment: 'WIRE_AUDIT_LOG',
    key: 'audit-log',
    parse: parsePath,
    help: 'note each change of a bucket there, a line of JSON each; `off`: nowhere (default: audit.log in the folder of logins)',
  },
  ca: {
    flag: '--ca <path>',
    environment: 'WIRE_CA',
    key: 'ca',
    parse: parsePath,
    help: 'CA certificates to trust as well: a PEM file or a hashed folder',
  },
  insecureHosts: {
    flag: '--insecure <host...>',
    environment: 'WIRE_INSECURE',
    parse: parseHosts,
    help: 'hosts whose certificate is not checked, said each time',
  },
  endpointHosts: {
    flag: '--allow-endpoint-host <host...>',
    environment: 'WIRE_ALLOW_ENDPOINT_HOSTS',
    key: 'allow-endpoint-hosts',
    parse: parseHosts,
    help: "other hosts that the provider's discovery document may name",
  },
};

export type OptionName = keyof OptionTable;

type ValueOf<O> = O extends Option<infer T> ? T : never;

/** What is set; an absent field is set nowhere and has no fallback. */
export type Settings = { readonly [K in OptionName]?: ValueOf<OptionTable[K]> };
