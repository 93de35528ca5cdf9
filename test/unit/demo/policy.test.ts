import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimVariables, evaluate, isAllowed } from '../../../src/demo/policy/evaluation.ts';
import { matches, parsePattern } from '../../../src/demo/policy/pattern.ts';
import { parsePolicy, readPolicy } from '../../../src/demo/policy/policy-document.ts';
import { PolicyError } from '../../../src/demo/policy/policy-error.ts';

const Version = '2012-10-17';
const arn = (path: string): string => `arn:aws:s3:::${path}`;

interface Asked {
  readonly action?: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly conditions?: Readonly<Record<string, readonly string[]>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

const request = ({ action = 's3:GetObject', bucket = 'b', key, ...rest }: Asked) => ({
  action,
  resource: key === undefined ? { bucket } : { bucket, key },
  conditions: rest.conditions ?? {},
  variables: claimVariables(rest.claims ?? {}),
});

const verdict = (statement: unknown, asked: Asked): string =>
  evaluate([readPolicy({ Version, Statement: statement })], request(asked));

const allow = (fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  Effect: 'Allow',
  Action: 's3:*',
  Resource: '*',
  ...fields,
});

describe('policy statements', () => {
  it.each([
    ['one action', { Action: 's3:GetObject' }, {}, 'allowed'],
    ['another action', { Action: 's3:PutObject' }, {}, 'not-allowed'],
    ['an action in other case', { Action: 'S3:getobject' }, {}, 'allowed'],
    ['a wildcard in the action', { Action: ['s3:List*', 's3:Get*'] }, {}, 'allowed'],
    ['the bucket for its objects', { Resource: arn('b') }, { key: 'k' }, 'not-allowed'],
    ['objects for the bucket', { Resource: arn('b/*') }, {}, 'not-allowed'],
    ['a prefix, slashes included', { Resource: arn('b/a/*') }, { key: 'a/x/y' }, 'allowed'],
    ['a look-alike prefix', { Resource: arn('b/a/*') }, { key: 'ab/x' }, 'not-allowed'],
    ['a resource in other case', { Resource: arn('b/A') }, { key: 'a' }, 'not-allowed'],
    ['? for one character', { Resource: arn('b/a?c') }, { key: 'a☃c' }, 'allowed'],
    ['? for two characters', { Resource: arn('b/a?c') }, { key: 'abbc' }, 'not-allowed'],
    ['${*} for a star itself', { Resource: arn('b/${*}') }, { key: '*' }, 'allowed'],
    ['${*} for anything else', { Resource: arn('b/${*}') }, { key: 'a' }, 'not-allowed'],
    ['${?} and ${$}', { Resource: arn('b/${?}${$}') }, { key: '?$' }, 'allowed'],
  ])('match %s', (_, fields, asked, expected) => {
    expect(verdict(allow(fields), asked)).toBe(expected);
  });

  it('turn around with NotAction and NotResource', () => {
    const notAction = { Effect: 'Allow', NotAction: 's3:Delete*', Resource: '*' };
    expect(verdict(notAction, {})).toBe('allowed');
    expect(verdict(notAction, { action: 's3:DeleteObject' })).toBe('not-allowed');
    const notResource = { Effect: 'Deny', Action: '*', NotResource: arn('b/keep/*') };
    expect(verdict([allow({}), notResource], { key: 'keep/x' })).toBe('allowed');
    expect(verdict([allow({}), notResource], { key: 'other' })).toBe('denied');
  });

  it('speak of the list of buckets only when they speak of every bucket', () => {
    const list = { action: 's3:ListAllMyBuckets', resource: {}, conditions: {}, variables: {} };
    const policy = (Resource: string) => [readPolicy({ Version, Statement: allow({ Resource }) })];
    expect(evaluate(policy('*'), list)).toBe('allowed');
    expect(evaluate(policy(arn('*')), list)).toBe('allowed');
    expect(evaluate(policy(arn('b')), list)).toBe('not-allowed');
  });
});

describe('policy variables', () => {
  const home = allow({ Resource: arn('b/users/${jwt:preferred_username}/*') });
  const team = allow({ Resource: arn('b/teams/${jwt:groups}/*') });

  it('stand for the claim of the token', () => {
    const claims = { preferred_username: 'alice' };
    expect(verdict(home, { key: 'users/alice/x', claims })).toBe('allowed');
    expect(verdict(home, { key: 'users/bob/x', claims })).toBe('not-allowed');
  });

  it('match nothing when the token has no such claim', () => {
    expect(verdict(home, { key: 'users//x' })).toBe('not-allowed');
    expect(verdict(home, { key: 'users/${jwt:preferred_username}/x' })).toBe('not-allowed');
    expect(verdict(allow({ Resource: arn('b/${toString}') }), { key: 'x' })).toBe('not-allowed');
  });

  it('try every value of a list', () => {
    const claims = { groups: ['red', 'blue'] };
    expect(verdict(team, { key: 'teams/red/x', claims })).toBe('allowed');
    expect(verdict(team, { key: 'teams/blue/x', claims })).toBe('allowed');
    expect(verdict(team, { key: 'teams/green/x', claims })).toBe('not-allowed');
    expect(verdict(team, { key: 'teams/red/x', claims: { groups: [] } })).toBe('not-allowed');
  });

  it('are literal text: a person called * gets no one else their files', () => {
    const claims = { preferred_username: '*' };
    expect(verdict(home, { key: 'users/bob/x', claims })).toBe('not-allowed');
    expect(verdict(home, { key: 'users/*/x', claims })).toBe('allowed');
  });

  it('are plain text before Version 2012-10-17', () => {
    const policy = readPolicy({ Version: '2008-10-17', Statement: home });
    const asked = request({ key: 'users/alice/x', claims: { preferred_username: 'alice' } });
    expect(evaluate([policy], asked)).toBe('not-allowed');
  });
});

describe('policy conditions', () => {
  const when = (operator: string, key: string, value: unknown) =>
    allow({ Condition: { [operator]: { [key]: value } } });

  it.each([
    ['StringEquals', 's3:prefix', ['a/', 'b/'], ['b/'], true],
    ['StringEquals', 's3:prefix', 'a*', ['ab'], false],
    ['StringEquals', 's3:prefix', '', [''], true],
    ['StringEquals', 'S3:Prefix', 'a', ['a'], true],
    ['StringEquals', 's3:prefix', 'a', undefined, false],
    ['StringEqualsIfExists', 's3:prefix', 'a', undefined, true],
    ['StringEqualsIfExists', 's3:prefix', 'a', ['b'], false],
    ['StringNotEquals', 's3:prefix', ['a', 'b'], ['b'], false],
    ['StringNotEquals', 's3:prefix', ['a', 'b'], ['c'], true],
    ['StringNotEquals', 's3:prefix', 'a', undefined, true],
    ['StringLike', 's3:prefix', 'users/alice/*', ['users/alice/x/'], true],
    ['StringLike', 's3:prefix', 'users/alice/*', ['users/'], false],
    ['StringNotLike', 's3:prefix', 'users/*', ['users/x'], false],
    ['StringEqualsIgnoreCase', 's3:prefix', 'ABC', ['abc'], true],
    ['Bool', 'aws:SecureTransport', false, ['false'], true],
    ['Bool', 'aws:SecureTransport', 'true', ['false'], false],
    ['IpAddress', 'aws:SourceIp', '10.0.0.0/8', ['10.20.30.40'], true],
    ['IpAddress', 'aws:SourceIp', '10.0.0.0/8', ['11.0.0.1'], false],
    ['IpAddress', 'aws:SourceIp', '::1', ['::1'], true],
    ['IpAddress', 'aws:SourceIp', '10.0.0.0/8', ['nonsense'], false],
    ['NotIpAddress', 'aws:SourceIp', '10.0.0.0/8', ['11.0.0.1'], true],
    ['StringEquals', 'jwt:groups', 'red', ['blue', 'red'], true],
  ])('%s of %s %j with %j', (operator, key, value, present, expected) => {
    const conditions = present === undefined ? {} : { [key.toLowerCase()]: present };
    const answer = verdict(when(operator, key, value), { conditions });
    expect(answer).toBe(expected ? 'allowed' : 'not-allowed');
  });

  it('must all hold', () => {
    const both = allow({
      Condition: { StringEquals: { a: '1', b: '2' }, StringLike: { c: 'x*' } },
    });
    const of = (a: string, b: string, c: string) => ({ conditions: { a: [a], b: [b], c: [c] } });
    expect(verdict(both, of('1', '2', 'xy'))).toBe('allowed');
    expect(verdict(both, of('1', '3', 'xy'))).toBe('not-allowed');
    expect(verdict(both, of('1', '2', 'y'))).toBe('not-allowed');
  });
});

describe('policy documents', () => {
  it.each([
    ['text that is not JSON', '{'],
    ['a list', '[]'],
    ['no Statement', `{"Version":"${Version}"}`],
    ['an odd Version', '{"Version":"2020-01-01","Statement":[]}'],
    ['an odd field', '{"Statement":[],"Statements":[]}'],
  ])('are refused with %s', (_, json) => {
    expect(() => parsePolicy(json)).toThrow(PolicyError);
  });

  it.each([
    ['an odd Effect', { Effect: 'allow' }],
    ['no Action', { Action: undefined }],
    ['Action and NotAction', { NotAction: 's3:*' }],
    ['an empty list', { Resource: [] }],
    ['a Principal', { Principal: '*' }],
    ['an unknown operator', { Condition: { DateLessThan: { 'aws:CurrentTime': 'x' } } }],
    ['an operator named as a method', { Condition: { toString: { a: 'x' } } }],
    ['no address', { Condition: { IpAddress: { 'aws:SourceIp': 'ten/8' } } }],
    ['an address range too wide', { Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/33' } } }],
  ])('are refused for %s', (_, fields) => {
    expect(() => readPolicy({ Version, Statement: allow(fields) })).toThrow(PolicyError);
  });
});

/** Small alphabets, so that statements often meet requests. */
const word = fc.constantFrom('a', 'b', 'a/b', 'a/', '*', 'a*', '?', '${jwt:sub}/*');
const action = fc.constantFrom('s3:GetObject', 's3:PutObject', 's3:*');
const statement = fc.record({
  Effect: fc.constantFrom('Allow', 'Deny'),
  Action: action,
  Resource: fc.oneof(
    fc.constant('*'),
    word.map(arn),
    word.map((key) => arn(`b/${key}`)),
  ),
});
const policy = fc
  .array(statement, { maxLength: 5, size: 'max' })
  .map((Statement) => readPolicy({ Version, Statement }));
const asked = fc
  .record({
    action: fc.constantFrom('s3:GetObject', 's3:PutObject'),
    bucket: fc.constantFrom('a', 'b'),
    key: fc.constantFrom('a', 'b', 'a/b', 'c/x', ''),
    claims: fc.constantFrom({}, { sub: 'a' }, { sub: 'c' }),
  })
  .map(request);

describe('policies in any mixture', () => {
  it('are never widened by a session policy', () => {
    fc.assert(
      fc.property(policy, policy, asked, (granted, session, one) => {
        const narrowed = isAllowed({ granted: [granted], session }, one);
        const together = [granted, session].map((each) => isAllowed({ granted: [each] }, one));
        expect(narrowed).toBe(together.every(Boolean));
      }),
      { numRuns: 500 },
    );
  });

  it('deny as soon as one statement denies', () => {
    const deny = readPolicy({ Version, Statement: { ...allow({}), Effect: 'Deny' } });
    fc.assert(
      fc.property(fc.array(policy, { maxLength: 3 }), asked, fc.nat(3), (policies, one, at) => {
        expect(evaluate(policies.toSpliced(at, 0, deny), one)).toBe('denied');
      }),
    );
  });

  it('give the same answer in any order', () => {
    fc.assert(
      fc.property(fc.array(policy, { maxLength: 4, size: 'max' }), asked, (policies, one) => {
        const reversed = policies.toReversed().map((each) => ({
          ...each,
          statements: each.statements.toReversed(),
        }));
        expect(evaluate(reversed, one)).toBe(evaluate(policies, one));
      }),
    );
  });

  it('match patterns as the regular expression of the same meaning does', () => {
    const glob = fc.string({
      unit: fc.constantFrom('a', 'b', '*', '?'),
      maxLength: 8,
      size: 'max',
    });
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10, size: 'max' });
    const syntax = { wildcards: true, variables: true, ignoreCase: false };
    fc.assert(
      fc.property(glob, text, (source, candidate) => {
        const expression = source.replaceAll('*', '.*').replaceAll('?', '.');
        const expected = new RegExp(`^${expression}$`).test(candidate);
        expect(matches(parsePattern(source, syntax), candidate, {})).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });
});
