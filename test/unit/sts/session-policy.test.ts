import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAllowed } from '../../../src/demo/policy/evaluation.ts';
import { parsePolicy } from '../../../src/demo/policy/policy-document.ts';
import {
  escapePattern,
  type PolicyPlace,
  policyPlaceOf,
  type Rights,
  type SessionPolicy,
  sessionPolicies,
} from '../../../src/sts/session-policy.ts';

const elsewhere: PolicyPlace = { partition: 'aws', kms: false };
const everything = parsePolicy(
  JSON.stringify({
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: '*', Resource: '*' },
  }),
);

type Asked = readonly [action: string, bucket?: string, key?: string | undefined, listed?: string];

/** Whether a session of an all-powerful role may do it, once narrowed. */
function may(policy: SessionPolicy, [action, bucket, key, listed]: Asked): boolean {
  return isAllowed(
    { granted: [everything], session: parsePolicy(policy.json) },
    {
      action: `s3:${action}`,
      resource: { ...(bucket !== undefined && { bucket }), ...(key !== undefined && { key }) },
      conditions: listed === undefined ? {} : { 's3:prefix': [listed] },
      // A policy must not be able to mean one of these either.
      variables: { 'aws:username': ['anybody'], 'jwt:sub': ['anybody'] },
    },
  );
}

function narrowest(rights: Rights, place: PolicyPlace = elsewhere): SessionPolicy {
  return sessionPolicies(rights, place)[0];
}

const changes = ['PutObject', 'DeleteObject', 'AbortMultipartUpload', 'ListMultipartUploadParts'];
const readOnlyActions = ['GetObject'];

/** Parts of keys with all that is special in policies, in JSON, in XML and in Unicode. */
const part = fc.string({
  unit: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'p', '1', '.', '-', ' ') },
    { weight: 4, arbitrary: fc.constantFrom('*', '?', '$', '{', '}', '${*}', '${jwt:sub}') },
    { weight: 2, arbitrary: fc.constantFrom('"', '\\', "'", '<', '>', '&', ':', '\n', '\x7f') },
    { weight: 2, arbitrary: fc.constantFrom('é', '日', '\u{1f600}', '\u202e', '\u0301') },
  ),
  minLength: 1,
  maxLength: 12,
  size: 'max',
});
const prefixes = fc
  .array(part, { minLength: 1, maxLength: 3, size: 'max' })
  .map((parts) => `${parts.join('/')}/`);
const tails = fc.oneof(fc.constant(''), part, prefixes);
const bounds = { numRuns: 400 };

describe('a policy for a prefix', () => {
  it('lets through every request that a mount makes, whatever the prefix holds', () => {
    fc.assert(
      fc.property(prefixes, tails, (prefix, tail) => {
        const policy = narrowest({ bucket: 'b', prefix, readOnly: false });
        fc.pre(!policy.coarser);
        expect(may(policy, ['ListBucket', 'b', undefined, prefix + tail])).toBe(true);
        for (const action of [...changes, ...readOnlyActions]) {
          expect([action, may(policy, [action, 'b', prefix + tail])]).toEqual([action, true]);
        }
        // A copy reads and writes, with its tags.
        expect(may(policy, ['GetObjectTagging', 'b', prefix + tail])).toBe(true);
        expect(may(policy, ['PutObjectTagging', 'b', prefix + tail])).toBe(true);
      }),
      bounds,
    );
  });

  it('refuses every key and every listing that does not begin with the prefix', () => {
    fc.assert(
      fc.property(prefixes, fc.oneof(prefixes, part), tails, (prefix, other, tail) => {
        const policy = narrowest({ bucket: 'b', prefix, readOnly: false });
        fc.pre(!policy.coarser);
        const key = other + tail;
        fc.pre(!key.startsWith(prefix));
        for (const action of [...changes, ...readOnlyActions]) {
          expect([action, may(policy, [action, 'b', key])]).toEqual([action, false]);
        }
        expect(may(policy, ['ListBucket', 'b', undefined, key])).toBe(false);
      }),
      bounds,
    );
  });

  it.each([
    ['users/al*/', 'users/alice/'],
    ['users/al?/', 'users/alx/'],
    ['users/${jwt:sub}/', 'users/anybody/'],
    ['users/$*/', 'users/$x/'],
    ['users/$${jwt:sub}/', 'users/$anybody/'],
    ['p/', 'p2/'],
    ['p/', 'p'],
    ['p/', 'P/'],
    ['\u00e9/', 'e\u0301/'],
  ])('for %j is not one for %j', (prefix, lookAlike) => {
    const policy = narrowest({ bucket: 'b', prefix, readOnly: false });
    expect(may(policy, ['GetObject', 'b', `${prefix}x`])).toBe(true);
    expect(may(policy, ['GetObject', 'b', `${lookAlike}x`])).toBe(false);
    expect(may(policy, ['PutObject', 'b', `${lookAlike}x`])).toBe(false);
    expect(may(policy, ['ListBucket', 'b', undefined, lookAlike])).toBe(false);
  });

  it('refuses the listing of all keys and of the names that only begin alike', () => {
    const policy = narrowest({ bucket: 'b', prefix: 'p/', readOnly: false });
    expect(may(policy, ['ListBucket', 'b'])).toBe(false);
    expect(may(policy, ['ListBucket', 'b', undefined, ''])).toBe(false);
    expect(may(policy, ['ListBucket', 'b', undefined, 'p'])).toBe(false);
    expect(may(policy, ['ListBucketMultipartUploads', 'b'])).toBe(false);
    expect(may(policy, ['ListAllMyBuckets'])).toBe(false);
    expect(may(policy, ['GetBucketLocation', 'b'])).toBe(true);
  });

  it('asks MinIO for no condition that it refuses', () => {
    const { json } = narrowest({ bucket: 'b', prefix: 'p/', readOnly: false });
    const { Statement } = JSON.parse(json) as {
      readonly Statement: readonly { readonly Action: string[]; readonly Condition?: unknown }[];
    };
    const conditioned = Statement.filter(({ Condition }) => Condition !== undefined);
    expect(conditioned.map(({ Action }) => Action)).toEqual([['s3:ListBucket']]);
  });
});

describe('a policy for a whole bucket', () => {
  const policy = narrowest({ bucket: 'b', prefix: '', readOnly: false });

  it('lets through what a mount does in it and nothing in another', () => {
    expect(may(policy, ['ListBucket', 'b'])).toBe(true);
    expect(may(policy, ['ListBucketMultipartUploads', 'b'])).toBe(true);
    for (const action of [...changes, ...readOnlyActions]) {
      expect([action, may(policy, [action, 'b', 'x'])]).toEqual([action, true]);
      for (const bucket of ['b2', 'bb', 'a', 'B']) {
        expect([action, may(policy, [action, bucket, 'x'])]).toEqual([action, false]);
      }
    }
    expect(may(policy, ['ListBucket', 'b2'])).toBe(false);
    expect(may(policy, ['ListAllMyBuckets'])).toBe(false);
  });

  it.each([
    'DeleteBucket',
    'PutBucketPolicy',
    'GetBucketPolicy',
    'PutBucketAcl',
    'PutLifecycleConfiguration',
    'GetBucketVersioning',
    'ListBucketVersions',
    'CreateBucket',
  ])('refuses %s', (action) => {
    expect(may(policy, [action, 'b'])).toBe(false);
  });

  it.each(['GetObjectVersion', 'DeleteObjectVersion', 'PutObjectAcl', 'BypassGovernanceRetention'])(
    'refuses %s of an object',
    (action) => {
      expect(may(policy, [action, 'b', 'x'])).toBe(false);
    },
  );
});

describe('a read-only policy', () => {
  it.each([
    ['a prefix', { bucket: 'b', prefix: 'p/' }],
    ['a bucket', { bucket: 'b', prefix: '' }],
    ['every bucket', { prefix: '' }],
  ])('for %s lets nothing be changed', (_, where) => {
    const policy = narrowest({ ...where, readOnly: true });
    expect(may(policy, ['GetObject', 'b', 'p/x'])).toBe(true);
    expect(may(policy, ['ListBucket', 'b', undefined, 'p/'])).toBe(true);
    for (const action of [...changes, 'PutObjectTagging']) {
      expect([action, may(policy, [action, 'b', 'p/x'])]).toEqual([action, false]);
    }
  });
});

describe('a policy for every bucket', () => {
  const policy = narrowest({ prefix: '', readOnly: false });

  it('lets through what a mount does in any of them, and no more', () => {
    expect(may(policy, ['ListAllMyBuckets'])).toBe(true);
    expect(may(policy, ['ListBucket', 'any', undefined, 'p/'])).toBe(true);
    for (const action of [...changes, ...readOnlyActions]) {
      expect([action, may(policy, [action, 'any', 'x'])]).toEqual([action, true]);
    }
    expect(may(policy, ['DeleteBucket', 'any'])).toBe(false);
    expect(may(policy, ['PutBucketPolicy', 'any'])).toBe(false);
  });
});

describe('the text of a policy', () => {
  it('is never longer than servers take, in characters AWS takes, and never wider than the bucket', () => {
    const long = fc
      .array(fc.oneof(part, fc.string({ minLength: 1, maxLength: 200, size: 'max' })), {
        minLength: 1,
      })
      .map((parts) => `${parts.join('').slice(0, 900).replaceAll('/', '_')}/`);
    const buckets = fc.constantFrom('b', 'a'.repeat(63), 'tenant:bucket');
    fc.assert(
      fc.property(
        fc.array(long, { maxLength: 3, size: 'max' }),
        buckets,
        fc.boolean(),
        (parts, bucket, kms) => {
          const wanted = { bucket, prefix: parts.join(''), readOnly: false };
          const policies = sessionPolicies(wanted, { ...elsewhere, kms });
          for (const { json, rights, coarser } of policies) {
            expect(json.length).toBeLessThanOrEqual(2048);
            expect(json).toMatch(/^[\x20-\x7e]+$/);
            expect(rights.bucket).toBe(bucket);
            expect(wanted.prefix.startsWith(rights.prefix)).toBe(true);
            expect(rights.prefix === '' || rights.prefix.endsWith('/')).toBe(true);
            expect(coarser).toBe(rights.prefix !== wanted.prefix);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('covers the nearest folder above a prefix that is too long, and says so', () => {
    const above = `${'a'.repeat(400)}/`;
    const prefix = `${above}${'b'.repeat(600)}/`;
    const [first, second] = sessionPolicies({ bucket: 'b', prefix, readOnly: false }, elsewhere);
    expect(first).toMatchObject({ coarser: true, rights: { prefix: above } });
    expect(may(first, ['GetObject', 'b', `${prefix}x`])).toBe(true);
    expect(may(first, ['GetObject', 'b', 'elsewhere'])).toBe(false);
    expect(second).toMatchObject({ coarser: true, rights: { prefix: '' } });
  });

  it('leaves a dollar alone that begins nothing, for servers without escapes', () => {
    expect(escapePattern('a$b$$/')).toBe('a$b$$/');
    expect(escapePattern('${a}$*?$')).toBe('${$}{a}${$}${*}${?}$');
    expect(narrowest({ bucket: 'b', prefix: 'a$b/', readOnly: true }).escapes).toBe(false);
    expect(narrowest({ bucket: 'b', prefix: 'a*b/', readOnly: true }).escapes).toBe(true);
  });

  it('names the tenant of a bucket where Ceph RGW looks for it', () => {
    const { json } = narrowest({ bucket: 'cms:data', prefix: '', readOnly: true });
    expect(json).toContain('"arn:aws:s3::cms:data/*"');
  });

  it('lets AWS alone set ACLs, where they are asked for', () => {
    const aws = { partition: 'aws', kms: true };
    const writes = { bucket: 'b', prefix: '', readOnly: false };
    expect(narrowest({ ...writes, setsAcl: true }, aws).json).toContain('"s3:PutObjectAcl"');
    expect(narrowest(writes, aws).json).not.toContain('Acl');
    expect(narrowest({ ...writes, setsAcl: true }).json).not.toContain('Acl');
    expect(narrowest({ ...writes, readOnly: true, setsAcl: true }, aws).json).not.toContain('Acl');
  });

  it('lets AWS alone use the keys of encrypted objects, and only through S3', () => {
    const role = 'arn:aws-cn:iam::1:role/x';
    const place = policyPlaceOf('https://s3.cn-north-1.amazonaws.com.cn', role);
    expect(place).toEqual({ partition: 'aws-cn', kms: true });
    const { json } = narrowest({ bucket: 'b', prefix: 'p/', readOnly: false }, place);
    expect(json).toContain('arn:aws-cn:s3:::b/p/*');
    expect(json).toContain('kms:ViaService');
    const minio = policyPlaceOf('https://amazonaws.com.example.org', 'arn:minio:iam:::role/x');
    expect(minio).toEqual(elsewhere);
    expect(narrowest({ bucket: 'b', prefix: '', readOnly: false }, minio).json).not.toContain(
      'kms',
    );
  });
});
