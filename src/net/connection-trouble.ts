/**
 * What went wrong before a server could be asked: its certificate, its TLS, the proxy. The same
 * words for the provider, the STS and the store.
 */
import { WireError } from '../lib/wire-error.ts';
import type { Proxy } from './proxy-choice.ts';
import { authorityOf, type Target } from './target.ts';

export interface Trouble {
  readonly answered: string;
  readonly next: string;
  /** Stays as it is however often one asks. */
  readonly lasting: boolean;
}

/** A proxy that could not be reached, or would not connect us. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly trouble: Trouble;

  constructor(trouble: Trouble, options?: ErrorOptions) {
    super(trouble.answered, options);
    this.trouble = trouble;
  }
}

/** `proxy` answered CONNECT with `status`, other than success. */
export function proxyRefusal(proxy: Proxy, target: Target, status: number): ProxyError {
  const to = authorityOf(target);
  const answered = `the proxy ${authorityOf(proxy)} refused to connect to ${to} (${status})`;
  if (status === 407) {
    const next = `put the right user and password into ${proxy.variable}`;
    return new ProxyError({ answered, next, lasting: true });
  }
  if (status < 500) {
    const next = `ask its administrators, or put ${target.host} into NO_PROXY`;
    return new ProxyError({ answered, next, lasting: true });
  }
  // Mostly: the proxy did not reach the server just now.
  return new ProxyError({ answered, next: 'check the network and try again', lasting: false });
}

/** No answer from `proxy` itself. */
export function proxyUnreachable(proxy: Proxy, reason: string, cause?: Error): ProxyError {
  const answered = `the proxy ${authorityOf(proxy)} cannot be reached (${reason})`;
  const next = `check ${proxy.variable} and the network`;
  return new ProxyError({ answered, next, lasting: false }, { cause });
}

/** `error` of the connection to `proxy` itself. */
export function proxyTrouble(proxy: Proxy, error: NodeJS.ErrnoException): ProxyError {
  if (error instanceof ProxyError) return error;
  const trouble = troubleIn(error);
  if (trouble === undefined) {
    return proxyUnreachable(proxy, error.code ?? 'the connection broke off', error);
  }
  const answered = `the proxy ${authorityOf(proxy)}: ${trouble.answered}`;
  return new ProxyError({ ...trouble, answered }, { cause: error });
}

const unknownIssuer: Trouble = {
  answered: 'its certificate is signed by a CA that is not known here',
  next: 'name the CA: --ca FILE, or a folder such as /etc/ssl/certs',
  lasting: true,
};

/** By the codes of OpenSSL's verification, as Node names them (nodejs.org/api/tls.html). */
const troubleOf: Readonly<Record<string, Trouble>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownIssuer,
  UNABLE_TO_GET_ISSUER_CERT: unknownIssuer,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownIssuer,
  SELF_SIGNED_CERT_IN_CHAIN: unknownIssuer,
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    answered: 'its certificate is self-signed',
    next: 'if that is the right server, trust its certificate: --ca FILE',
    lasting: true,
  },
  CERT_HAS_EXPIRED: {
    answered: 'its certificate has expired',
    next: 'check the clock of this machine, else tell the administrators of the server',
    lasting: true,
  },
  CERT_NOT_YET_VALID: {
    answered: 'its certificate is not valid yet',
    next: 'check the clock of this machine, else tell the administrators of the server',
    lasting: true,
  },
  CERT_REVOKED: {
    answered: 'its certificate was revoked',
    next: 'tell the administrators of the server',
    lasting: true,
  },
};

/** Other codes of verification (`X509_STORE_CTX_get_error(3)`). */
const certificateCode =
  /^(?:CERT_|UNABLE_TO_|ERROR_IN_CERT|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|HOSTNAME_MISMATCH$)/;
/** TLS below certificates: another protocol at that port, or a record damaged on its way. */
const tlsCode = /^(?:EPROTO$|ERR_SSL_|ERR_TLS_)/;

/** How deep undici and the AWS SDK hide the reason in causes. */
const DEEPEST_CAUSE = 4;

/** What of this kind `error` or one of its causes tells; undefined: it is something else. */
export function troubleIn(error: unknown, depth = 0): Trouble | undefined {
  if (!(error instanceof Error) || depth > DEEPEST_CAUSE) return undefined;
  return troubleOfOne(error) ?? troubleIn(error.cause, depth + 1);
}

function troubleOfOne(error: Error): Trouble | undefined {
  if (error instanceof ProxyError) return error.trouble;
  if (error instanceof WireError) {
    const { answered, tried, next = 'check the settings' } = error.facts;
    return { answered: `cannot ${tried}: ${answered}`, next, lasting: true };
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return undefined;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return wrongName(error);
  const known = Object.hasOwn(troubleOf, code) ? troubleOf[code] : undefined;
  if (known !== undefined) return known;
  if (certificateCode.test(code)) {
    const next = 'tell the administrators of the server';
    return { answered: `its certificate is not good (${code})`, next, lasting: true };
  }
  if (!tlsCode.test(code)) return undefined;
  const next = 'check the port, and whether the address begins with http:// or https://';
  return { answered: `it does not speak TLS as expected (${code})`, next, lasting: false };
}

/** Names in a certificate that are told; it may hold hundreds. */
const NAMES_TOLD = 3;

/** Node attaches the certificate (`tls.checkServerIdentity`). */
function wrongName(error: Error): Trouble {
  const { cert } = error as { readonly cert?: { readonly subjectaltname?: string } };
  const names = (cert?.subjectaltname ?? '')
    .split(', ')
    .map((name) => name.replace(/^[^:]*:/, ''))
    .filter((name) => /^[\w*.:-]{1,253}$/.test(name));
  const more = names.length > NAMES_TOLD ? ' and others' : '';
  const told = names.slice(0, NAMES_TOLD).join(', ') + more;
  return {
    answered: `its certificate is for another host${told === '' ? '' : `, ${told}`}`,
    next: 'check the host name, or use the one in the certificate',
    lasting: true,
  };
}
