/** What can be done to a mount and all it stands on: data, so that a seed tells everything. */

/** Requests of a store, by what they are for. */
export const requestKinds = ['read', 'list', 'write', 'sts'] as const;
export type RequestKind = (typeof requestKinds)[number];

/** What happens to one request on its way to the store, or to its answer. */
export type WayFault =
  | { readonly kind: 'latency'; readonly ms: number }
  /** Nothing comes for so long, then the answer does after all. */
  | { readonly kind: 'stall'; readonly ms: number; readonly at: 'head' | 'body' }
  /** `before`: the store never sees it; `after`: it is done, and nobody hears of it. */
  | { readonly kind: 'reset'; readonly at: 'before' | 'in request' | 'in answer' | 'after' }
  /** The body ends early, in good order. */
  | { readonly kind: 'truncate' }
  /** An error instead of the answer; `done`: what was asked is done all the same. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly code: string;
      readonly done: boolean;
    }
  /** 200, and an error in the body, as S3 answers long requests. */
  | { readonly kind: 'error in 200'; readonly done: boolean }
  /** 200, and something else than was asked for. */
  | { readonly kind: 'garbage' }
  /** One byte of a body is another. */
  | { readonly kind: 'corrupt'; readonly body: 'request' | 'answer' };

/** For a time. */
export type Fault =
  | {
      readonly on: 'requests';
      readonly fault: WayFault;
      readonly of: RequestKind | 'any';
      /** One request in so many is hit. */
      readonly oneIn: number;
    }
  /** Nobody listens any more, and every connection is broken. */
  | { readonly on: 'store'; readonly what: 'away' }
  /** Connections stay, and nothing moves on any of them. */
  | { readonly on: 'store'; readonly what: 'frozen' }
  | { readonly on: 'iam'; readonly what: 'away' | 'slow' | 'busy' | 'pages' | 'answers lost' }
  /** Every token is revoked; a person logs in again at the end. */
  | { readonly on: 'login'; readonly what: 'revoked' }
  | { readonly on: 'login'; readonly what: 'key rotated' }
  /** Leases end before their time. Playground only. */
  | { readonly on: 'lease'; readonly what: 'expired' }
  /** The clock of the mount is off by so much. */
  | { readonly on: 'clock'; readonly seconds: number }
  | { readonly on: 'disk'; readonly what: 'full' }
  /** The process that serves the mount is killed, and another takes its place. */
  | { readonly on: 'process'; readonly what: 'killed' };

export interface PlannedFault {
  readonly fault: Fault;
  readonly atMs: number;
  readonly forMs: number;
}

/** By which it is counted. */
export function nameOf(fault: Fault): string {
  if (fault.on === 'clock') return 'clock jump';
  if (fault.on !== 'requests') return `${fault.on} ${fault.what}`;
  const { fault: way } = fault;
  switch (way.kind) {
    case 'stall':
    case 'reset':
      return `${way.kind} ${way.at}`;
    case 'status':
      return `${way.status} ${way.code}${way.done ? ' though done' : ''}`;
    case 'error in 200':
      return `error in 200${way.done ? ' though done' : ''}`;
    case 'corrupt':
      return `corrupt ${way.body}`;
    case 'latency':
    case 'truncate':
    case 'garbage':
      return way.kind;
  }
}
