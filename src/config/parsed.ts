/** What reading one value gives: the value, or what is wrong with it in a few words. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: string };

export function good<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** `fault` completes the sentence "this value …": `is not a URL`. */
export function bad(fault: string): Parsed<never> {
  return { ok: false, fault };
}

/** Reads one value, as a person typed it. */
export interface Parse<T> {
  (text: string): Parsed<T>;
  /** What can be said, where that is one of a few words. */
  readonly words?: readonly string[];
}
