/** Failures below HTTP, in words: no answer, a broken one, a certificate nobody trusts. */
import { WireError } from '../lib/wire-error.ts';

interface Words {
  readonly answered: string;
  readonly next: string;
}

const again = 'check the network and try again';
const trust = 'if the server has a CA of its own, name it in NODE_EXTRA_CA_CERTS';

/** By the codes of Node and undici (`errno(3)`, nodejs.org/api/errors.html, OpenSSL). */
const wordsOf: Readonly<Record<string, Words>> = {
  ECONNREFUSED: {
    answered: 'connection refused',
    next: 'check the address, and that it is running',
  },
  ENOTFOUND: { answered: 'no such host', next: 'check the spelling of the host name' },
  EAI_AGAIN: { answered: 'the name could not be looked up', next: again },
  EHOSTUNREACH: { answered: 'no route to the host', next: again },
  ENETUNREACH: { answered: 'no network', next: again },
  ETIMEDOUT: { answered: 'no answer in time', next: again },
  ECONNRESET: { answered: 'the connection broke off', next: again },
  EPIPE: { answered: 'the connection broke off', next: again },
  UND_ERR_SOCKET: { answered: 'the connection broke off', next: again },
  UND_ERR_CONNECT_TIMEOUT: { answered: 'no answer in time', next: again },
  UND_ERR_HEADERS_TIMEOUT: { answered: 'no answer in time', next: again },
  UND_ERR_BODY_TIMEOUT: { answered: 'the answer stopped half way', next: again },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    answered: 'its certificate is signed by nobody known',
    next: trust,
  },
  SELF_SIGNED_CERT_IN_CHAIN: { answered: 'its certificate is signed by nobody known', next: trust },
  DEPTH_ZERO_SELF_SIGNED_CERT: { answered: 'its certificate is self-signed', next: trust },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    answered: 'its certificate is signed by nobody known',
    next: trust,
  },
  CERT_HAS_EXPIRED: { answered: 'its certificate has expired', next: 'tell its administrators' },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    answered: 'its certificate is for another host',
    next: 'check the spelling of the host name',
  },
};

/**
 * `error` of a `fetch` of `url` as a WireError `unreachable`. The original stays the cause: it
 * tells of sockets, never of what was sent.
 */
export function networkFailure(tried: string, url: string, error: unknown): WireError {
  const { host } = new URL(url);
  const words =
    error === 'timeout' ? wordsOf['ETIMEDOUT'] : (wordsOf[codeOf(error) ?? ''] ?? unnamed(error));
  const { answered, next } = words ?? unnamed(error);
  const cause = error instanceof Error ? { cause: error } : {};
  return new WireError('unreachable', { tried, answered: `${host}: ${answered}`, next }, cause);
}

/** undici hides the reason one or two causes deep; a name with two addresses gives an AggregateError. */
function codeOf(error: unknown, depth = 0): string | undefined {
  if (!(error instanceof Error) || depth > 3) return undefined;
  if ('code' in error && typeof error.code === 'string' && error.code in wordsOf) return error.code;
  return codeOf(error.cause, depth + 1);
}

function unnamed(error: unknown): Words {
  const deepest = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const answered = deepest instanceof Error ? deepest.message : 'the request failed';
  return { answered, next: again };
}
