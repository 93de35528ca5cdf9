/** Readers of the kinds of value that options have. Pure: no environment, no files. */
import { formatBytes } from '../lib/bytes.ts';
import { isLoopback } from '../lib/host-name.ts';
import { bad, good, type Parse, type Parsed } from './parsed.ts';

/**
 * An absolute http(s) URL without a query, as it was typed. Plain http only on loopback: tokens
 * and data go there.
 */
export const parseUrl: Parse<string> = (text) => {
  if (!URL.canParse(text)) return bad('is not a URL: write https://HOST[:PORT]');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return bad('is not a web address: write https://HOST[:PORT]');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    return bad('would send tokens in clear: use https (http only on this machine)');
  }
  if (url.username !== '' || url.password !== '') return bad('must not hold a user or password');
  if (url.search !== '' || url.hash !== '') return bad('must not have a ?query or #fragment');
  return good(text);
};

/** One word without spaces or control characters: a role, an audience, a client id. */
export const parseWord: Parse<string> = (text) =>
  /^[\x21-\x7e]+$/.test(text) ? good(text) : bad('must be one word without spaces');

/** Names that a person gives to profiles and mounts; they can never be taken for a SOURCE or a path. */
export const parseName: Parse<string> = (text) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text)
    ? good(text)
    : bad('is not a name: use letters, digits, ".", "_" and "-"');

/** Scopes of RFC 6749 §3.3, separated by spaces. */
export const parseScopes: Parse<readonly string[]> = (text) => {
  const scopes = text.split(/\s+/).filter((scope) => scope !== '');
  if (scopes.length === 0) return bad('names no scope');
  return scopes.every((scope) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope))
    ? good(scopes)
    : bad('holds a character that a scope cannot have');
};

const unitSeconds: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };

/** Seconds: `3600`, `3600s`, `60m`, `1h`. */
export const parseSeconds: Parse<number> = (text) => {
  const [, digits, unit] = /^(\d{1,9})([smh]?)$/.exec(text) ?? [];
  const scale = unit === undefined ? undefined : unitSeconds[unit];
  if (digits === undefined || scale === undefined)
    return bad('is not a duration such as 3600s or 1h');
  const seconds = Number(digits) * scale;
  return seconds > 0 ? good(seconds) : bad('must be longer than nothing');
};

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A time in ms, which may be none: `500ms`, `1s`, `10m`, `0s`. */
export const parseMs: Parse<number> = (text) => {
  const [, digits, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const scale = unit === undefined ? undefined : unitMs[unit];
  return digits === undefined || scale === undefined
    ? bad('is not a time such as 500ms, 1s or 10m')
    : good(Number(digits) * scale);
};

const unitPowers: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };

/** Bytes, in powers of 1024: `48M`, `48MiB`, `10G`, `1048576`. */
export const parseBytes: Parse<number> = (text) => {
  const [, digits, unit] = /^(\d{1,15})(?:([kmgt])(?:i?b)?|b)?$/i.exec(text) ?? [];
  if (digits === undefined) return bad('is not a size such as 48M or 10G');
  const bytes =
    Number(digits) * (unit === undefined ? 1 : 1024 ** (unitPowers[unit.toLowerCase()] ?? 0));
  return Number.isSafeInteger(bytes) && bytes > 0 ? good(bytes) : bad('must be more than nothing');
};

/** A size of at least `least` bytes. */
export function parseBytesFrom(least: number): Parse<number> {
  return (text) => {
    const parsed = parseBytes(text);
    return parsed.ok && parsed.value < least
      ? bad(`must be at least ${formatBytes(least)}`)
      : parsed;
  };
}

/** One of a few words. */
export function parseChoice<const Word extends string>(words: readonly Word[]): Parse<Word> {
  const parse = (text: string): Parsed<Word> => {
    const word = words.find((known) => known === text);
    return word === undefined ? bad(`is none of ${words.join(', ')}`) : good(word);
  };
  return Object.assign(parse, { words });
}

/** `on` or `off`. */
export const parseSwitch: Parse<boolean> = Object.assign(
  (text: string): Parsed<boolean> => {
    if (text === 'on' || text === 'true') return good(true);
    return text === 'off' || text === 'false' ? good(false) : bad('is neither on nor off');
  },
  { words: ['on', 'off'] },
);

/** Ways to get an access token, in the order in which they are looked for. */
export const tokenSourceNames = [
  'file',
  'login',
  'wlcg',
  'web-identity',
  'hub',
  'oidc-agent',
  'mytoken',
] as const;
export type TokenSourceName = (typeof tokenSourceNames)[number];

export const parseTokenSource: Parse<TokenSourceName> = parseChoice(tokenSourceNames);

/** What of a mount is kept on the local disk, in the words of rclone and sts-wire. */
export const cacheModes = ['off', 'minimal', 'writes', 'full'] as const;
export type CacheMode = (typeof cacheModes)[number];

/** Whether open(2) asks the store although the TTL has not passed. */
export const consistencies = ['ttl', 'strict'] as const;
export type Consistency = (typeof consistencies)[number];

/** What close(2) waits for: the bucket, the local journal, or that on the disk. */
export const writeBackModes = ['off', 'on', 'durable'] as const;
export type WriteBackMode = (typeof writeBackModes)[number];

/** Who has the keys with which the store encrypts: itself, or its key service. */
export const encryptions = ['s3', 'kms'] as const;
export type Encryption = (typeof encryptions)[number];

/** Where the name of a bucket stands in a URL. */
export const addressings = ['auto', 'path', 'virtual'] as const;
export type Addressing = (typeof addressings)[number];

/** Names or addresses of hosts, each perhaps with a port, separated by spaces or commas. */
export const parseHosts: Parse<readonly string[]> = (text) => {
  const hosts = text.split(/[\s,]+/).filter((host) => host !== '');
  if (hosts.length === 0) return bad('names no host');
  return hosts.every(
    (host) =>
      URL.canParse(`https://${host}/`) &&
      new URL(`https://${host}`).pathname === '/' &&
      !/[/?#@]/.test(host),
  )
    ? good(hosts.map((host) => host.toLowerCase()))
    : bad('is not a list of hosts such as iam.example.org or 10.0.0.1:8443');
};

/** Port of 127.0.0.1 where metrics are served, 0 for any free one; or nowhere. */
export type MetricsPlace = number | 'off';

/** `on`, `off`, `9345` or `127.0.0.1:9345`: no other address is served. */
export const parseMetricsPlace: Parse<MetricsPlace> = (text) => {
  if (text === 'off') return good('off');
  if (text === 'on') return good(0);
  const [, digits] = /^(?:(?:127\.0\.0\.1|localhost):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits ?? Number.NaN);
  return port >= 1 && port <= 65_535
    ? good(port)
    : bad('is neither on, off nor a port of 127.0.0.1 such as 127.0.0.1:9345');
};

/** A path as typed; a relative one counts from where the command was started. */
export const parsePath: Parse<string> = (text) =>
  text === '' || text.includes('\0') ? bad('is not a path') : good(text);

/** A path that does not depend on where a command was started. */
export function parseAbsolutePath(text: string, home: string | undefined): Parsed<string> {
  if (text === '~' || text.startsWith('~/')) {
    return home === undefined
      ? bad('starts with ~, but HOME is not set')
      : good(home + text.slice(1));
  }
  return text.startsWith('/') ? good(text) : bad('must be an absolute path or start with ~/');
}
