/**
 * How wire says no. Every error a layer throws on purpose is a `WireError` of one `kind`;
 * `fs/errno.ts` turns kinds into an errno for programs, `cli/` into an exit code for people.
 * Nobody decides by a message's text.
 */
import { redactKnown } from './secret.ts';

/** Exit code of the command for each kind; README lists the same table (a test compares them). */
export const exitCodeOf = {
  internal: 1, // a defect of wire
  usage: 2, // the command line
  'login-denied': 3, // the person, or the provider, said no
  'login-expired': 4, // nobody is logged in, or not any more
  unreachable: 5, // nothing answered, or it broke off
  config: 6, // configuration file, environment, issuer's document
  'identity-refused': 7, // the provider or STS answered: not you, not so
  'access-denied': 8, // logged in, yet not allowed
  'not-found': 9, // bucket, object, mount
  'mount-point': 10, // missing, busy, not empty, not a directory
  'no-fuse': 11, // no /dev/fuse, no fusermount3
  'not-saved': 12, // something written is not in the bucket yet
  unavailable: 13, // answered, but cannot serve now: 5xx, throttled
  'credentials-expired': 14, // temporary credentials ended and none replaced them
  'precondition-failed': 15, // the object changed under us
  exists: 16, // it is already there
  unsupported: 17, // this server or system cannot do it
  archived: 18, // the object is in cold storage
  'over-quota': 19, // a quota of the store's is used up
  'store-full': 20, // the store has no room
  'name-too-long': 21, // the store takes no name of that length
  warned: 22, // `wire doctor` found no failure, and something to see to
  interrupted: 130, // Ctrl-C, or the kernel's INTERRUPT
} as const;

export type WireErrorKind = keyof typeof exitCodeOf;

/** The facts of a refusal. All texts are shown to people: known secrets in them are blanked. */
export interface WireErrorFacts {
  /** What was attempted, as a clause: `open https://iam.example/.well-known/openid-configuration`. */
  readonly tried: string;
  /** What came back, as a clause: `404 Not Found`, `connection refused`. */
  readonly answered: string;
  /** What the reader can do now, as an imperative: `check the issuer URL`. */
  readonly next?: string;
}

/** Base of every layer's errors. */
export class WireError extends Error {
  override readonly name: string = 'WireError';
  readonly kind: WireErrorKind;
  readonly facts: WireErrorFacts;

  constructor(kind: WireErrorKind, facts: WireErrorFacts, options?: ErrorOptions) {
    const clean = withoutSecrets(facts);
    super(`cannot ${clean.tried}: ${clean.answered}`, options);
    this.kind = kind;
    this.facts = clean;
  }

  get exitCode(): number {
    return exitCodeOf[this.kind];
  }

  /** One line for a person: what was tried, what answered, what to do next. */
  toLine(): string {
    const { next } = this.facts;
    return next === undefined ? this.message : `${this.message}; ${next}`;
  }
}

/** Servers quote what they were sent, and their words end up here. */
function withoutSecrets({ tried, answered, next }: WireErrorFacts): WireErrorFacts {
  const facts = { tried: redactKnown(tried), answered: redactKnown(answered) };
  return next === undefined ? facts : { ...facts, next: redactKnown(next) };
}
