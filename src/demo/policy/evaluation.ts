/**
 * Says whether policies let a request pass. Pure: the same policies in any order give the same
 * answer, an explicit Deny wins over every Allow, and what nobody allows is denied.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
import type { Resource } from '../s3/principal.ts';
import { type ConditionValues, clauseHolds } from './condition.ts';
import { matches, type Variables } from './pattern.ts';
import type { Policy, Selection, Statement } from './policy-document.ts';

export interface AccessRequest {
  /** `s3:GetObject`. */
  readonly action: string;
  /** Empty for the list of buckets. */
  readonly resource: Resource;
  readonly conditions: ConditionValues;
  /** What `${...}` stands for. */
  readonly variables: Variables;
}

export type Verdict =
  | 'allowed'
  | 'denied' // by a Deny statement
  | 'not-allowed'; // by no statement at all

/** What the holder of a session may do: `granted`, narrowed by `session` where there is one. */
export interface EffectivePolicies {
  readonly granted: readonly Policy[];
  readonly session?: Policy;
}

export function isAllowed(policies: EffectivePolicies, request: AccessRequest): boolean {
  const { granted, session } = policies;
  if (evaluate(granted, request) !== 'allowed') return false;
  return session === undefined || evaluate([session], request) === 'allowed';
}

export function evaluate(policies: readonly Policy[], request: AccessRequest): Verdict {
  const arn = arnOf(request.resource);
  const applying = policies
    .flatMap((policy) => policy.statements)
    .filter((statement) => applies(statement, request, arn));
  if (applying.some(({ effect }) => effect === 'Deny')) return 'denied';
  return applying.length > 0 ? 'allowed' : 'not-allowed';
}

function applies(statement: Statement, request: AccessRequest, arn: string): boolean {
  const { action, conditions, variables } = request;
  return (
    selects(statement.actions, action, variables) &&
    selects(statement.resources, arn, variables) &&
    statement.conditions.every((clause) => clauseHolds(clause, conditions, variables))
  );
}

function selects(selection: Selection, text: string, variables: Variables): boolean {
  return selection.patterns.some((one) => matches(one, text, variables)) !== selection.negated;
}

/** The list of buckets has no ARN of its own: only a policy for every bucket speaks of it. */
function arnOf({ bucket, key }: Resource): string {
  if (bucket === undefined) return 'arn:aws:s3:::*';
  return key === undefined ? `arn:aws:s3:::${bucket}` : `arn:aws:s3:::${bucket}/${key}`;
}

/** Claims of a token as variables: text and lists of text under `jwt:` and their name. */
export function claimVariables(claims: Readonly<Record<string, unknown>>): Variables {
  const entries = Object.entries(claims).map(([name, claim]) => {
    const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
    const texts = values.filter((value) => typeof value !== 'object' && value !== undefined);
    return [`jwt:${name}`, texts.map(String)] as const;
  });
  return Object.fromEntries(entries);
}
