/**
 * What `wire doctor` finds, as data, and what follows from it. A check gathers facts at the edge
 * (`*-facts.ts`) and decides about them in a pure function (`*-findings.ts`).
 */
import { exitCodeOf, type WireError, type WireErrorKind } from '../../lib/wire-error.ts';

/** From the best to the worst. `note`: nothing is wrong, and worth knowing. */
export const levels = ['ok', 'note', 'warning', 'failure'] as const;
export type Level = (typeof levels)[number];

/** What is looked at, in the order in which it is told. */
export const checkNames = [
  'wire',
  'config',
  'fuse',
  'mounts',
  'disk',
  'indexer',
  'logins',
  'identity',
  'provider',
  'client',
  'clock',
  'sts',
  'bucket',
  'conditions',
  'latency',
] as const;
export type CheckName = (typeof checkNames)[number];

export interface Finding {
  readonly check: CheckName;
  readonly level: Level;
  /** What was seen, as a clause. */
  readonly seen: string;
  /** What to do, as an imperative. Every warning and failure has one. */
  readonly fix?: string;
  /** Of a failure: how a command ends that meets it. */
  readonly kind?: WireErrorKind;
}

/** Makes the findings of one check. */
export interface Findings {
  readonly ok: (seen: string) => Finding;
  readonly note: (seen: string, fix?: string) => Finding;
  readonly warning: (seen: string, fix: string) => Finding;
  readonly failure: (kind: WireErrorKind, seen: string, fix: string) => Finding;
  /** A failure as `error` tells it. */
  readonly refused: (error: WireError, fix?: string) => Finding;
}

export function findingsOf(check: CheckName): Findings {
  return {
    ok: (seen) => ({ check, level: 'ok', seen }),
    note: (seen, fix) => ({ check, level: 'note', seen, ...(fix !== undefined && { fix }) }),
    warning: (seen, fix) => ({ check, level: 'warning', seen, fix }),
    failure: (kind, seen, fix) => ({ check, level: 'failure', seen, fix, kind }),
    refused: ({ kind, message, facts }, fix) => ({
      check,
      level: 'failure',
      seen: message,
      fix: fix ?? facts.next ?? 'see: wire logs --lines 20',
      kind,
    }),
  };
}

/** How many of each level. */
export type Tally = Readonly<Record<Level, number>>;

export function tallyOf(findings: readonly Finding[]): Tally {
  const count = (level: Level): number => findings.filter((each) => each.level === level).length;
  return {
    ok: count('ok'),
    note: count('note'),
    warning: count('warning'),
    failure: count('failure'),
  };
}

/**
 * The exit code by the worst finding: of the first failure what a command ends with that meets it,
 * of warnings alone `warned`.
 */
export function exitCodeFor(findings: readonly Finding[]): number {
  const failed = findings.find(({ level }) => level === 'failure');
  if (failed !== undefined) return exitCodeOf[failed.kind ?? 'internal'];
  return findings.some(({ level }) => level === 'warning') ? exitCodeOf.warned : 0;
}
