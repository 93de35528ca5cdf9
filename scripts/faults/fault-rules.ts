/** Which of the requests that pass are hit, and how: by chance that a seed determines. */
import type { Random } from '../../test/fixtures/random.ts';
import { type Fault, nameOf, type RequestKind, type WayFault } from './fault.ts';

type RequestFault = Extract<Fault, { readonly on: 'requests' }>;

export class FaultRules {
  readonly #random: Random;
  readonly #rules = new Set<RequestFault>();
  readonly #counts = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Requests hit, by the kind of fault. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  add(rule: RequestFault): void {
    this.#rules.add(rule);
  }

  remove(rule: RequestFault): void {
    this.#rules.delete(rule);
  }

  clear(): void {
    this.#rules.clear();
  }

  /** What `request` meets; the first rule that fits and draws it. */
  take(request: PassingRequest): WayFault | undefined {
    for (const rule of this.#rules) {
      const fits = rule.of === 'any' || rule.of === request.kind;
      if (!fits || !canMeet(rule.fault, request) || this.#random.below(rule.oneIn) > 0) continue;
      // Whether an answer can be damaged so that it must be noticed is seen when it comes.
      const isOpen = rule.fault.kind === 'corrupt' && rule.fault.body === 'answer';
      if (!isOpen) this.count(nameOf(rule));
      return rule.fault;
    }
    return undefined;
  }

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}

/** A request on its way. */
export interface PassingRequest {
  readonly kind: RequestKind;
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Of what the signature covers: a store that gets other bytes must refuse them. */
  readonly isBodySigned: boolean;
}

/** Faults that nobody could notice are none that a mount is to blame for. */
function canMeet(fault: WayFault, { kind, method, isBodySigned }: PassingRequest): boolean {
  switch (fault.kind) {
    case 'garbage':
      return kind === 'list' || kind === 'sts';
    case 'error in 200':
      return kind === 'write' && (method === 'POST' || method === 'PUT');
    case 'corrupt':
      return fault.body === 'request' ? isBodySigned : kind === 'read' && method === 'GET';
    case 'status':
      // A quota never keeps anybody from deleting.
      return fault.code !== 'QuotaExceeded' || (kind === 'write' && method === 'PUT');
    case 'latency':
    case 'stall':
    case 'reset':
    case 'truncate':
      return true;
  }
}

/** By method, path and query (S3 API reference). */
export function requestKind(method: string, url: string, isForm: boolean): RequestKind {
  const [path = '/', query = ''] = url.split('?');
  if (method === 'POST' && path === '/' && isForm) return 'sts';
  if (method !== 'GET' && method !== 'HEAD') return 'write';
  const hasKey =
    /^\/[^/]+\/./.test(path) && !/(^|&)(uploads|uploadId|list-type)(=|&|$)/.test(query);
  return hasKey ? 'read' : 'list';
}
