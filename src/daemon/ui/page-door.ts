/**
 * Who may use the page: one browser. A token in the address is taken once, for a cookie and a key.
 * Every request needs both: cookies of 127.0.0.1 go to each port of it (RFC 6265 §8.5), so also to
 * servers of others on this machine; the key stays in the storage of this page's own origin.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Secret } from '../../lib/secret.ts';

/** 256 bits each: nobody guesses one. */
const SECRET_BYTES = 32;

export interface PageSession {
  readonly cookie: Secret;
  readonly key: Secret;
}

export class PageDoor {
  /** For the address; good until it was taken. */
  readonly token: Secret = newSecret();
  readonly #session: PageSession = { cookie: newSecret(), key: newSecret() };
  #taken = false;

  get taken(): boolean {
    return this.#taken;
  }

  /** The session for `token`, once. */
  take(token: string): PageSession | undefined {
    const isRight = equal(token, this.token.reveal());
    if (this.#taken || !isRight) return undefined;
    this.#taken = true;
    return this.#session;
  }

  /** Whether a request that shows these is of the browser that took the token. */
  knows(cookie: string, key: string): boolean {
    const agree = [
      equal(cookie, this.#session.cookie.reveal()),
      equal(key, this.#session.key.reveal()),
    ];
    return agree.every(Boolean);
  }
}

function newSecret(): Secret {
  return new Secret(randomBytes(SECRET_BYTES).toString('base64url'));
}

/** Takes as long however many characters agree: digests are compared, and all of them. */
function equal(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
