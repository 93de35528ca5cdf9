/** What one round is, drawn from its seed: pure. */
import { Random } from '../../test/fixtures/random.ts';
import type { Fault, PlannedFault, WayFault } from './fault.ts';
import { requestKinds } from './fault.ts';

export type WriteBack = 'off' | 'on' | 'durable';

export interface RoundPlan {
  readonly seed: number;
  readonly writeBack: WriteBack;
  readonly cache: 'off' | 'minimal' | 'writes' | 'full';
  readonly memory: string;
  readonly posix: boolean;
  /** The mount runs under libfaketime. */
  readonly ownClock: boolean;
  readonly writers: number;
  readonly readers: number;
  readonly loadMs: number;
  /** In the order of their beginning. */
  readonly faults: readonly PlannedFault[];
}

/** What this machine and this store let us do. */
export interface Abilities {
  readonly clock: boolean;
  readonly disk: boolean;
  readonly expireLeases: boolean;
}

const LEAST_LOAD_MS = 6_000;
const MORE_LOAD_MS = 9_000;
const MOST_FAULTS = 7;
/** A stall longer than this is a store that is away. */
const LONGEST_STALL_MS = 12_000;

const refusals = [
  [500, 'InternalError'],
  [502, 'page'],
  [503, 'SlowDown'],
  [503, 'ServiceUnavailable'],
  [504, 'page'],
  [429, 'TooManyRequests'],
] as const;

/** A quota, until somebody raises it: what asking again at once is no help against. */
const usedUp: Fault = {
  on: 'requests',
  of: 'write',
  oneIn: 1,
  fault: { kind: 'status', status: 403, code: 'QuotaExceeded', done: false },
};

export function drawRound(seed: number, abilities: Abilities): RoundPlan {
  const random = new Random(seed * 7919 + 13);
  const loadMs = LEAST_LOAD_MS + random.below(MORE_LOAD_MS);
  const ownClock = abilities.clock && random.below(4) === 0;
  const plan = {
    ...{ seed, loadMs, ownClock },
    writeBack: random.pick(['off', 'off', 'on', 'durable'] as const),
    cache: random.pick(['off', 'minimal', 'writes', 'full'] as const),
    memory: random.pick(['16m', '64m', '256m']),
    posix: random.below(3) === 0,
    writers: 2 + random.below(4),
    readers: 1 + random.below(3),
  };
  const count = 2 + random.below(MOST_FAULTS - 1);
  const faults = Array.from({ length: count }, () => drawTimed(random, loadMs, abilities));
  if (ownClock) faults.push(timed(random, loadMs, drawJump(random)));
  if (random.below(5) === 0) faults.push(timed(random, loadMs, usedUp));
  return { ...plan, faults: faults.toSorted((a, b) => a.atMs - b.atMs) };
}

function drawTimed(random: Random, loadMs: number, abilities: Abilities): PlannedFault {
  return timed(random, loadMs, drawFault(random, abilities));
}

function timed(random: Random, loadMs: number, fault: Fault): PlannedFault {
  const atMs = random.below(Math.floor(loadMs * 0.8));
  return { fault, atMs, forMs: 300 + random.below(Math.max(1, loadMs - atMs)) };
}

function drawFault(random: Random, abilities: Abilities): Fault {
  const kind = random.below(20);
  if (kind === 0) return { on: 'store', what: 'away' };
  if (kind === 1) return { on: 'store', what: 'frozen' };
  if (kind <= 4) {
    const what = random.pick(['away', 'slow', 'busy', 'pages', 'answers lost'] as const);
    return { on: 'iam', what };
  }
  if (kind === 5) return { on: 'login', what: random.pick(['revoked', 'key rotated'] as const) };
  if (kind === 6 && abilities.expireLeases) return { on: 'lease', what: 'expired' };
  if (kind <= 8 && abilities.disk) return { on: 'disk', what: 'full' };
  if (kind <= 11) return { on: 'process', what: 'killed' };
  const of = random.pick(['any', ...requestKinds] as const);
  return { on: 'requests', of, oneIn: random.pick([1, 2, 4, 10]), fault: drawWayFault(random) };
}

function drawJump(random: Random): Fault {
  const span = random.pick([40, 240, 1_200, 3_700, 90_000]);
  return { on: 'clock', seconds: random.below(2) === 0 ? span : -span };
}

function drawWayFault(random: Random): WayFault {
  switch (random.below(9)) {
    case 0:
      return { kind: 'latency', ms: 20 + random.below(1_500) };
    case 1: {
      const ms = 2_000 + random.below(LONGEST_STALL_MS - 2_000);
      return { kind: 'stall', ms, at: random.pick(['head', 'body'] as const) };
    }
    case 2:
    case 3: {
      const at = random.pick(['before', 'in request', 'in answer', 'after'] as const);
      return { kind: 'reset', at };
    }
    case 4:
      return { kind: 'truncate' };
    case 5:
      return { kind: 'error in 200', done: random.below(2) === 0 };
    case 6:
      return { kind: 'garbage' };
    case 7:
      return { kind: 'corrupt', body: random.pick(['request', 'answer'] as const) };
    default: {
      const [status, code] = random.pick(refusals);
      return { kind: 'status', status, code, done: random.below(3) === 0 };
    }
  }
}
