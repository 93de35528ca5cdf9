/** Lists of servers as people write them: `host` or `host:port`, an IPv6 address in brackets. */

/** Whether `hosts` names the server. Without a port an entry means every port of its host. */
export function namesServer(hosts: readonly string[], hostname: string, port: number): boolean {
  return hosts.some((entry) => {
    const [, host, itsPort] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [];
    if (host === undefined || withoutBrackets(host) !== withoutBrackets(hostname)) return false;
    return itsPort === undefined || Number(itsPort) === port;
  });
}

/** An IPv6 address as sockets take it; every other name as it is, in lower case. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** This machine, by name or address (RFC 6761 §6.3; RFC 1122 §3.2.1.3; RFC 4291 §2.5.3). */
export function isLoopback(hostname: string): boolean {
  const host = withoutBrackets(hostname);
  return host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host);
}
