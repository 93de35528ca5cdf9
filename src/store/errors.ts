import { WireError, type WireErrorKind } from '../lib/wire-error.ts';

/** Why an object store refused, in terms a file system can act on. */
export type StoreErrorKind = Extract<
  WireErrorKind,
  | 'not-found' // no such object or bucket
  | 'precondition-failed' // the object changed since its ETag was read
  | 'exists' // it should be new, and is there already
  | 'access-denied' // by policy: never asked again
  | 'credentials-expired' // the lease ended and could not be renewed
  | 'login-expired' // and only a new login helps
  | 'unavailable' // 5xx or throttled, after the retry budget
  | 'unreachable' // nothing answered
  | 'unsupported' // this server cannot
  | 'archived' // its bytes are in cold storage, until somebody has them restored
  | 'over-quota' // a quota is used up: asking again is no help
  | 'store-full' // the store itself has no room
  | 'name-too-long' // it takes no key, or part of one, of that length
>;

/** The service's own words, for people and logs; never for decisions. */
export interface StoreErrorDetail {
  readonly code: string;
  /** HTTP status, where there was an answer. */
  readonly status?: number;
  readonly requestId?: string;
  /** What the reader can do now, as an imperative. */
  readonly next?: string;
}

/** A refusal by an object store. */
export class StoreError extends WireError {
  override readonly name = 'StoreError';
  declare readonly kind: StoreErrorKind;
  readonly detail: StoreErrorDetail;

  constructor(
    kind: StoreErrorKind,
    tried: string,
    detail: StoreErrorDetail,
    options?: ErrorOptions,
  ) {
    const status = detail.status === undefined ? '' : ` (${detail.status})`;
    const answered = `${detail.code}${status}`;
    const { next } = detail;
    super(kind, next === undefined ? { tried, answered } : { tried, answered, next }, options);
    this.detail = detail;
  }
}
