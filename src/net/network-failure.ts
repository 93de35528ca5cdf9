/** Failures below HTTP, in words: no answer, a broken one, a certificate nobody trusts. */
import { WireError } from '../lib/wire-error.ts';
import { ProxyError, troubleIn } from './connection-trouble.ts';

interface Words {
  readonly answered: string;
  readonly next: string;
}

const again = 'check the network and try again';

/** By the codes of Node and undici (`errno(3)`, nodejs.org/api/errors.html). */
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
};

/** A reply larger than anything these servers have to say. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';

  constructor(maxBytes: number) {
    super(`a reply of more than ${maxBytes} bytes`);
  }
}

/**
 * `error` of a `fetch` of `url` as a WireError `unreachable`; `config` when it is our own settings
 * that are wrong. The original stays the cause: it tells of sockets, never of what was sent.
 */
export function networkFailure(tried: string, url: string, error: unknown): WireError {
  const { host } = new URL(url);
  const cause = error instanceof Error ? { cause: error } : {};
  const settings = inChain(error, (one) => one instanceof WireError);
  if (settings instanceof WireError) {
    const { tried: use, answered, next } = settings.facts;
    const facts = { tried, answered: `cannot ${use}: ${answered}` };
    return new WireError(settings.kind, next === undefined ? facts : { ...facts, next }, cause);
  }
  const { answered, next } = wordsFor(error);
  const proxy = inChain(error, (one) => one instanceof ProxyError);
  const said = proxy === undefined ? `${host}: ${answered}` : answered;
  return new WireError('unreachable', { tried, answered: said, next }, cause);
}

function wordsFor(error: unknown): Words {
  const trouble = troubleIn(error);
  if (trouble !== undefined) return trouble;
  if (error instanceof TooLargeError) {
    return { answered: error.message, next: 'check that this is the right server' };
  }
  const code = error === 'timeout' ? 'ETIMEDOUT' : codeOf(error);
  return (code === undefined ? undefined : wordsOf[code]) ?? unnamed(error);
}

/** undici hides the reason one or two causes deep; a name with two addresses gives an AggregateError. */
function codeOf(error: unknown): string | undefined {
  const found = inChain(error, (one) => {
    const { code } = one as NodeJS.ErrnoException;
    return code !== undefined && Object.hasOwn(wordsOf, code);
  });
  return (found as NodeJS.ErrnoException | undefined)?.code;
}

function inChain(error: unknown, is: (error: Error) => boolean, depth = 0): Error | undefined {
  if (!(error instanceof Error) || depth > 3) return undefined;
  return is(error) ? error : inChain(error.cause, is, depth + 1);
}

function unnamed(error: unknown): Words {
  const deepest = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const answered = deepest instanceof Error ? deepest.message : 'the request failed';
  return { answered, next: again };
}
