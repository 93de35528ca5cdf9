/** Host names as URLs and sockets have them. */

/** An IPv6 address as sockets take it; every other name as it is, in lower case. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** This machine, by name or address (RFC 6761 §6.3; RFC 1122 §3.2.1.3; RFC 4291 §2.5.3). */
export function isLoopback(hostname: string): boolean {
  const host = withoutBrackets(hostname);
  return host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host);
}
