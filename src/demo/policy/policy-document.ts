/**
 * AWS-style policy documents, checked once when they are read: whatever is not understood is
 * refused, since a condition that is silently dropped would widen the policy.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
import { type ConditionClause, parseClause } from './condition.ts';
import { type Pattern, parsePattern } from './pattern.ts';
import { PolicyError } from './policy-error.ts';

/** The version that knows variables. */
export const POLICY_VERSION = '2012-10-17';
const OLD_VERSION = '2008-10-17';

/** Patterns of which one is enough, or (`Not...`) none may match. */
export interface Selection {
  readonly negated: boolean;
  readonly patterns: readonly Pattern[];
}

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly actions: Selection;
  readonly resources: Selection;
  readonly conditions: readonly ConditionClause[];
}

export interface Policy {
  /** As written; absent in documents that leave it out. */
  readonly version: string | undefined;
  readonly statements: readonly Statement[];
}

type Fields = Readonly<Record<string, unknown>>;

const documentFields: ReadonlySet<string> = new Set(['Version', 'Id', 'Statement']);
const statementFields: ReadonlySet<string> = new Set([
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
]);

/** @throws PolicyError when `json` is not JSON or not a policy. */
export function parsePolicy(json: string): Policy {
  let document: unknown;
  try {
    document = JSON.parse(json);
  } catch (error) {
    throw new PolicyError('the policy is not JSON', { cause: error });
  }
  return readPolicy(document);
}

/** @throws PolicyError when `document` is not a policy. */
export function readPolicy(document: unknown): Policy {
  const fields = fieldsOf(document, 'the policy', documentFields);
  const { Version: version, Statement: statement } = fields;
  if (version !== undefined && version !== POLICY_VERSION && version !== OLD_VERSION) {
    throw new PolicyError('the Version is not known');
  }
  if (statement === undefined) throw new PolicyError('the policy has no Statement');
  const statements: readonly unknown[] = Array.isArray(statement) ? statement : [statement];
  const variables = version === POLICY_VERSION;
  return {
    version,
    statements: statements.map((one) => readStatement(one, variables)),
  };
}

function readStatement(source: unknown, variables: boolean): Statement {
  const fields = fieldsOf(source, 'a Statement', statementFields);
  const { Effect: effect, Condition: condition } = fields;
  if (effect !== 'Allow' && effect !== 'Deny') {
    throw new PolicyError('an Effect is neither Allow nor Deny');
  }
  return {
    effect,
    // Names of actions are compared without case, names of resources are not.
    actions: readSelection(fields, 'Action', variables, true),
    resources: readSelection(fields, 'Resource', variables, false),
    conditions: condition === undefined ? [] : readConditions(condition, variables),
  };
}

function readSelection(
  fields: Fields,
  name: string,
  variables: boolean,
  ignoreCase: boolean,
): Selection {
  const positive = fields[name];
  const negative = fields[`Not${name}`];
  if ((positive === undefined) === (negative === undefined)) {
    throw new PolicyError(`a Statement needs either ${name} or Not${name}`);
  }
  const sources = textsOf(positive ?? negative, name);
  return {
    negated: positive === undefined,
    patterns: sources.map((text) => parsePattern(text, { wildcards: true, variables, ignoreCase })),
  };
}

function readConditions(source: unknown, variables: boolean): readonly ConditionClause[] {
  return Object.entries(fieldsOf(source, 'a Condition')).flatMap(([operator, keys]) =>
    Object.entries(fieldsOf(keys, operator)).map(([key, values]) =>
      parseClause(operator, key, textsOf(values, key), variables),
    ),
  );
}

function fieldsOf(source: unknown, what: string, known?: ReadonlySet<string>): Fields {
  if (typeof source !== 'object' || source === null || Array.isArray(source)) {
    throw new PolicyError(`${what} is not an object`);
  }
  const odd = known && Object.keys(source).find((name) => !known.has(name));
  if (odd !== undefined) throw new PolicyError(`${what} has a field ${odd}`);
  return source as Fields;
}

function textsOf(source: unknown, what: string): readonly string[] {
  const values: readonly unknown[] = Array.isArray(source) ? source : [source];
  if (values.length === 0) throw new PolicyError(`${what} is empty`);
  return values.map((value) => {
    if (typeof value === 'string' || typeof value === 'boolean') return String(value);
    throw new PolicyError(`${what} is not text`);
  });
}
