/** One end of a connection. */
import { withoutBrackets } from '../lib/host-name.ts';

export interface Target {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Over TLS. */
  readonly secure: boolean;
}

/** The server that `url` (http or https) names. */
export function targetOf(url: string): Target {
  const { protocol, hostname, port } = new URL(url);
  const secure = protocol === 'https:';
  const usual = secure ? 443 : 80;
  return {
    host: withoutBrackets(hostname),
    port: port === '' ? usual : Number(port),
    secure,
  };
}

/** `host:port` as URLs and CONNECT write it. */
export function authorityOf({ host, port }: Pick<Target, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
