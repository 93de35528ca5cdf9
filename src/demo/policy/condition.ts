/**
 * Condition blocks of AWS policies: operators and keys are all to hold, of the values of one key
 * one is enough; a negated operator asks that none of them matches.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
import { BlockList, isIP } from 'node:net';
import { matches, type Pattern, parsePattern, type Variables } from './pattern.ts';
import { PolicyError } from './policy-error.ts';

/** What a request says of itself, by condition key. Keys are compared without case. */
export type ConditionValues = Readonly<Record<string, readonly string[]>>;

/** Whether one value of the request satisfies one value of the policy. */
type Test = (value: string, variables: Variables) => boolean;

export interface ConditionClause {
  /** Lower case. */
  readonly key: string;
  readonly negated: boolean;
  /** The answer for a request that does not carry the key. */
  readonly whenAbsent: boolean;
  readonly tests: readonly Test[];
}

type MakeTest = (source: string, variables: boolean) => Test;

interface Operator {
  readonly negated: boolean;
  readonly makeTest: MakeTest;
}

const equals =
  (wildcards: boolean, ignoreCase: boolean): MakeTest =>
  (source, variables) =>
    patternTest(parsePattern(source, { wildcards, variables, ignoreCase }));

const operators: Readonly<Record<string, Operator>> = {
  StringEquals: { negated: false, makeTest: equals(false, false) },
  StringNotEquals: { negated: true, makeTest: equals(false, false) },
  StringEqualsIgnoreCase: { negated: false, makeTest: equals(false, true) },
  StringNotEqualsIgnoreCase: { negated: true, makeTest: equals(false, true) },
  StringLike: { negated: false, makeTest: equals(true, false) },
  StringNotLike: { negated: true, makeTest: equals(true, false) },
  Bool: { negated: false, makeTest: equals(false, true) },
  IpAddress: { negated: false, makeTest: addressTest },
  NotIpAddress: { negated: true, makeTest: addressTest },
};

const IF_EXISTS = 'IfExists';

/** @throws PolicyError for an operator that is not known or a value it cannot take. */
export function parseClause(
  operatorName: string,
  key: string,
  values: readonly string[],
  variables: boolean,
): ConditionClause {
  const ifExists = operatorName.endsWith(IF_EXISTS);
  const name = ifExists ? operatorName.slice(0, -IF_EXISTS.length) : operatorName;
  const operator = Object.hasOwn(operators, name) ? operators[name] : undefined;
  if (operator === undefined) throw new PolicyError(`unknown condition operator ${operatorName}`);
  return {
    key: key.toLowerCase(),
    negated: operator.negated,
    whenAbsent: ifExists || operator.negated,
    tests: values.map((value) => operator.makeTest(value, variables)),
  };
}

export function clauseHolds(
  clause: ConditionClause,
  request: ConditionValues,
  variables: Variables,
): boolean {
  const values = valuesOf(request, clause.key);
  if (values.length === 0) return clause.whenAbsent;
  const found = values.some((value) => clause.tests.some((test) => test(value, variables)));
  return found !== clause.negated;
}

function valuesOf(request: ConditionValues, key: string): readonly string[] {
  const found = Object.keys(request).find((candidate) => candidate.toLowerCase() === key);
  return found === undefined ? [] : (request[found] ?? []);
}

function patternTest(pattern: Pattern): Test {
  return (value, variables) => matches(pattern, value, variables);
}

/** `10.0.0.0/8`, `::1` and their like. */
function addressTest(source: string): Test {
  const [address = '', bits] = source.split('/');
  const version = isIP(address);
  const prefix = bits === undefined ? (version === 6 ? 128 : 32) : Number(bits);
  if (
    version === 0 ||
    !Number.isInteger(prefix) ||
    prefix < 0 ||
    prefix > (version === 6 ? 128 : 32)
  )
    throw new PolicyError(`${source} is not an address range`);
  const range = new BlockList();
  range.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
  return (value) => isIP(value) !== 0 && range.check(value, isIP(value) === 6 ? 'ipv6' : 'ipv4');
}
