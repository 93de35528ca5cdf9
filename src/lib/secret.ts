/**
 * A value that must not be seen: token, key, device code. Prints and serialises as `[secret]`, and
 * `util.inspect` does not show private fields: a log line or an error that holds one gives nothing
 * away.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself: only for a request header, a request body or the vault. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }
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
    clean = clean.replaceAll(value, '[secret]').replaceAll(encodeURIComponent(value), '[secret]');
  }
  return clean;
}
