/** Lists of servers as people write them: `host` or `host:port`, an IPv6 address in brackets. */
import { withoutBrackets } from '../lib/host-name.ts';

/** Whether `hosts` names the server. Without a port an entry means every port of its host. */
export function namesServer(hosts: readonly string[], hostname: string, port: number): boolean {
  return hosts.some((entry) => {
    const [, host, itsPort] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [];
    if (host === undefined || withoutBrackets(host) !== withoutBrackets(hostname)) return false;
    return itsPort === undefined || Number(itsPort) === port;
  });
}
