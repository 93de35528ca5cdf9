import { inspect } from 'node:util';

import { Redactor } from './redactor.ts';
import { REDACTED } from './secret-shapes.ts';

/**
 * What `redactKnown` knows: the one state that this process shares. A text is printed far from
 * where its secrets were made, and a secret must be known there whoever made it.
 */
const known = new Redactor();

/**
 * A value that must not be seen: token, key, device code. Prints and serialises as `[secret]`:
 * a log line or an error that holds one gives nothing away. From its making on, `redactKnown`
 * finds the value in texts that others write.
 */
export class Secret {
  static {
    // For `util.inspect`, and with it the log of uncaught errors.
    Object.defineProperty(Secret.prototype, inspect.custom, { value: () => REDACTED });
  }

  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    known.learn(value);
  }

  /** The value itself: only for a request header, a request body or the vault. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }
}

/**
 * `text` without any secret of this process, and without what looks like a token. For all that is
 * written for people: logs, errors, status.
 */
export function redactKnown(text: string): string {
  return known.clean(text);
}

/** Shorter values would blank ordinary words. */
const REDACTABLE_CHARS = 6;

/**
 * `text` without any of `secrets`. For text that a server wrote: INDIGO IAM echoes device codes
 * and tokens in `error_description`.
 */
export function redact(text: string, secrets: Iterable<Secret>): string {
  let clean = text;
  for (const secret of secrets) {
    const value = secret.reveal();
    if (value.length < REDACTABLE_CHARS) continue;
    clean = clean.replaceAll(value, REDACTED).replaceAll(encodeURIComponent(value), REDACTED);
  }
  return clean;
}
