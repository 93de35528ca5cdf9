/**
 * Which proxy a connection goes through, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; the
 * lower-case name wins, as for curl. Pure.
 *
 * Loopback never goes through a proxy, whatever is set (as in Go's net/http): the proxy's loopback
 * is another machine's, and plain http is allowed there only because it does not leave this one.
 * NO_PROXY, separated by commas or spaces: `*`, a name for itself and all below it (with or without
 * a dot or `*.` before it), an address, a network as 10.0.0.0/8; each but the network with `:port`
 * if only that port is meant.
 */
import { BlockList, isIP } from 'node:net';
import { isLoopback, withoutBrackets } from '../lib/host-name.ts';
import { Secret } from '../lib/secret.ts';
import { WireError } from '../lib/wire-error.ts';
import type { Target } from './target.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Proxy {
  readonly host: string;
  readonly port: number;
  /** The proxy itself is spoken to over TLS. */
  readonly secure: boolean;
  /** The variable that names it. */
  readonly variable: string;
  /** Value of `Proxy-Authorization`, of the user and password in its URL. */
  readonly authorization?: Secret;
}

/**
 * The proxy for connections to `target`; undefined: none.
 *
 * @throws WireError `config` for a proxy that is not http or https; its URL is not shown.
 */
export function proxyFor(target: Target, environment: Environment): Proxy | undefined {
  if (isLoopback(target.host)) return undefined;
  const named = lookUp(environment, `${target.secure ? 'https' : 'http'}_proxy`, 'all_proxy');
  if (named === undefined) return undefined;
  const exempt = lookUp(environment, 'no_proxy')?.value ?? '';
  return isExempt(target, exempt) ? undefined : parseProxy(named.variable, named.value);
}

interface Variable {
  readonly variable: string;
  readonly value: string;
}

/** An empty variable is an unset one. */
function lookUp(environment: Environment, ...names: readonly string[]): Variable | undefined {
  for (const name of names) {
    for (const variable of [name, name.toUpperCase()]) {
      const value = environment[variable];
      if (value !== undefined && value !== '') return { variable, value };
    }
  }
  return undefined;
}

function parseProxy(variable: string, value: string): Proxy {
  const text = value.includes('://') ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const secure = url?.protocol === 'https:';
  if (url === undefined || !(secure || url.protocol === 'http:') || url.hostname === '') {
    throw new WireError('config', {
      tried: `use the proxy of ${variable}`,
      answered: url === undefined ? 'that is not a URL' : `wire knows no ${url.protocol} proxies`,
      next: `write ${variable}=http://HOST:PORT`,
    });
  }
  const usual = secure ? 443 : 80;
  const authorization = authorizationOf(url);
  return {
    host: withoutBrackets(url.hostname),
    port: url.port === '' ? usual : Number(url.port),
    secure,
    variable,
    ...(authorization !== undefined && { authorization }),
  };
}

/** RFC 7617. */
function authorizationOf({ username, password }: URL): Secret | undefined {
  if (username === '' && password === '') return undefined;
  const pair = `${decoded(username)}:${decoded(password)}`;
  return new Secret(`Basic ${Buffer.from(pair).toString('base64')}`);
}

/** A `%` that begins no escape stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function isExempt(target: Target, list: string): boolean {
  return list.split(/[\s,]+/).some((entry) => entry !== '' && exempts(entry.toLowerCase(), target));
}

function exempts(entry: string, { host, port }: Target): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isWithin(entry, host);
  const [, name = entry, itsPort] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [];
  if (itsPort !== undefined && Number(itsPort) !== port) return false;
  const bare = withoutBrackets(name).replace(/^\*?\./, '');
  return host === bare || (isIP(host) === 0 && bare !== '' && host.endsWith(`.${bare}`));
}

function isWithin(network: string, host: string): boolean {
  const [address = '', bits = ''] = network.split('/');
  const family = isIP(host);
  if (family === 0 || isIP(address) !== family || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(address, Number(bits), type);
  return list.check(host, type);
}
