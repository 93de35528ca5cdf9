/** What a person may do in a bucket, what its server promises of it, how soon it answers. Pure. */
import type { WireErrorKind } from '../../lib/wire-error.ts';
import { type Finding, findingsOf } from './finding.ts';

/** How one request went. */
export type Answer =
  | { readonly done: true }
  | { readonly done: false; readonly kind: WireErrorKind; readonly said: string };

export interface BucketFacts {
  /** As typed: `s3://bucket/prefix/`. */
  readonly place: string;
  readonly list: Answer;
  /** Absent: nothing was to be written. */
  readonly write?: WriteFacts;
  /** Reading the probe, or what is there; absent where there was nothing to read. */
  readonly get?: Answer;
  readonly timing?: TimingFacts;
  /** By its `Server` field, or how it numbers requests. */
  readonly server?: string;
}

export interface WriteFacts {
  /** The probe, under a condition that nothing is there. */
  readonly put: Answer;
  /** As `put`, where the probe is: to be refused. */
  readonly putAgain?: Answer;
  /** In place of a version that is not there: to be refused. */
  readonly putStale?: Answer;
  /** An upload in parts that ends where the probe is, under `put`'s condition: to be refused. */
  readonly completeAgain?: Answer;
  readonly remove?: Answer;
  /** Of the probe: `removed`, or why it, or an older version of it, is still there. */
  readonly left: { readonly key: string; readonly why: string } | 'nothing';
}

/** Medians, ms. */
export interface TimingFacts {
  /** A request whose answer has no body. */
  readonly headMs: number;
  /** Of `bytes`. */
  readonly getMs: number;
  readonly bytes: number;
}

const make = findingsOf('bucket');

export function bucketFindings(facts: BucketFacts): readonly Finding[] {
  const { write } = facts;
  return [
    ...rightsFindings(facts),
    ...(write === undefined ? [] : [...leftFindings(write), ...conditionFindings(write)]),
    ...(facts.timing === undefined ? [] : latencyFindings(facts.timing, facts.server)),
  ];
}

function rightsFindings({ place, list, get, write }: BucketFacts): readonly Finding[] {
  const asked: readonly (readonly [string, Answer | undefined])[] = [
    ['list', list],
    ['write', write?.put],
    ['read', get],
    ['delete', write?.remove],
  ];
  const refused = asked.flatMap(([verb, answer]) =>
    answer === undefined || answer.done ? [] : [refusalFinding(verb, place, answer)],
  );
  const may = asked.flatMap(([verb, answer]) => (answer?.done === true ? [verb] : []));
  const unasked = [
    ...(write === undefined ? ['writing was not tried (read-only)'] : []),
    ...(get === undefined && list.done ? ['there was nothing to read'] : []),
  ];
  const rest = unasked.length === 0 ? '' : `; ${unasked.join('; ')}`;
  if (may.length === 0) return refused;
  return [make.ok(`${place}: you may ${may.join(', ')}${rest}`), ...refused];
}

function refusalFinding(
  verb: string,
  place: string,
  { kind, said }: Extract<Answer, { readonly done: false }>,
): Finding {
  const seen = `cannot ${verb} in ${place}: ${said}`;
  if (kind === 'not-found') {
    return make.failure(kind, seen, 'check the name of the bucket: wire doctor s3:// counts yours');
  }
  if (kind !== 'access-denied') {
    return make.failure(kind, seen, 'see what the server says of it: wire logs --lines 20');
  }
  const right = rightOf[verb] ?? 'it';
  const changes = verb === 'write' || verb === 'delete';
  const other = changes ? 'mount with --read-only' : 'try another --role';
  return make.failure(kind, seen, `ask the owner of the bucket for ${right}, or ${other}`);
}

/** As policies name them. */
const rightOf: Readonly<Record<string, string>> = {
  list: 's3:ListBucket',
  write: 's3:PutObject',
  read: 's3:GetObject',
  delete: 's3:DeleteObject',
};

function leftFindings({ left }: WriteFacts): readonly Finding[] {
  if (left === 'nothing') return [];
  return [make.warning(`the probe is still there: ${left.why}`, `delete ${left.key}`)];
}

const makeConditions = findingsOf('conditions');

/** Conditions are what keeps one writer from overwriting what another has just written. */
function conditionFindings(write: WriteFacts): readonly Finding[] {
  const tried: readonly (readonly [string, Answer | undefined, WireErrorKind])[] = [
    ['If-None-Match', write.putAgain, 'exists'],
    ['If-Match', write.putStale, 'precondition-failed'],
  ];
  const asked = tried.flatMap(([name, answer, wanted]) =>
    answer === undefined ? [] : [{ name, answer, kept: !answer.done && answer.kind === wanted }],
  );
  if (asked.length === 0) return [];
  const ignored = asked.filter(({ answer }) => answer.done).map(({ name }) => name);
  const unclear = asked.filter(({ answer, kept }) => !answer.done && !kept);
  const findings: Finding[] = [];
  if (ignored.length > 0) {
    const seen = `the server ignores ${ignored.join(' and ')}: of two who write a file at once, one loses without a word`;
    const fix =
      'let one machine write at a time, or have the server upgraded (Ceph 16, MinIO 2023)';
    findings.push(makeConditions.warning(seen, fix));
  }
  for (const { name, answer } of unclear) {
    const said = answer.done ? '' : answer.said;
    findings.push(makeConditions.note(`no telling whether the server keeps ${name}: ${said}`));
  }
  if (findings.length > 0) return findings;
  return [...multipartFindings(write), makeConditions.ok('writes under conditions are kept')].slice(
    0,
    1,
  );
}

function multipartFindings({ completeAgain }: WriteFacts): readonly Finding[] {
  if (completeAgain?.done !== true) return [];
  const seen =
    'conditions are kept for short files, and ignored for uploads in parts: wire looks before each, which leaves a moment open';
  return [makeConditions.note(seen, 'let one machine write a large file at a time')];
}

const makeLatency = findingsOf('latency');

/**
 * Linux waits 40 ms with its ACK (TCP_DELACK_MIN), and Nagle's algorithm (RFC 1122 §4.2.3.4) waits
 * for that ACK before it sends the body behind the head: a server without TCP_NODELAY answers so
 * much later with a body than without.
 */
const DELAYED_ACK_MS = { least: 30, most: 70 } as const;
/** Reading thousands of small files then takes minutes. */
const FAR_MS = 150;

function latencyFindings(timing: TimingFacts, server: string | undefined): readonly Finding[] {
  const { headMs, getMs, bytes } = timing;
  const more = getMs - headMs;
  const told = `${bytes} bytes come in ${tidy(getMs)} ms, an answer without a body in ${tidy(headMs)} ms`;
  if (
    more >= DELAYED_ACK_MS.least &&
    more <= DELAYED_ACK_MS.most &&
    headMs < DELAYED_ACK_MS.least
  ) {
    const seen = `${told}: the server holds short bodies back for 40 ms (it sends without TCP_NODELAY)`;
    const rgw = 'rgw_frontends = beast endpoint=… tcp_nodelay=1, and a restart of the gateway';
    const fix =
      server === 'Ceph RGW'
        ? `have it set in ceph.conf: ${rgw}`
        : `have TCP_NODELAY set there; for Ceph RGW in ceph.conf: ${rgw}`;
    return [makeLatency.warning(seen, fix)];
  }
  if (getMs < FAR_MS) return [makeLatency.ok(told)];
  const fix = 'for many small files use --cache full, and read them in one go (cp -r)';
  return [makeLatency.note(`${told}: the store is far away or busy`, fix)];
}

function tidy(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}

/** The middle one of `samples`; 0 of none. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
