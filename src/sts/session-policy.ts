/**
 * The session policy of a mount: what its temporary credentials may do at most. The server gives
 * the intersection of it and of the role's own rights, so it can only take rights away.
 *
 * A prefix of a person may hold anything, and none of it may become a wildcard: what is special in
 * a policy is escaped (`${*}`), the pattern goes on only behind the final slash of the prefix, and
 * `p/` never lets in `p2/`. Only what servers know of is in it: MinIO refuses a policy that asks for
 * `s3:prefix` with any action but the listing of objects or versions, and every `kms:` action.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/list_amazons3.html
 */
import { WireError } from '../lib/wire-error.ts';

/** What somebody needs to do. */
export interface Rights {
  /** Absent: every bucket of the role. */
  readonly bucket?: string;
  /** Of the keys: '' or ending in '/'. */
  readonly prefix: string;
  readonly readOnly: boolean;
  /** Sends an ACL with what it writes: a right of its own at AWS, and none elsewhere. */
  readonly setsAcl?: boolean;
}

/** What differs between services that understand the same policies. */
export interface PolicyPlace {
  /** Of ARNs: `aws`, `aws-cn`; every other server says `aws`. */
  readonly partition: string;
  /** Objects may be encrypted with keys of AWS KMS, which asks for rights of its own. */
  readonly kms: boolean;
}

export interface SessionPolicy {
  readonly json: string;
  /** What it lets through. */
  readonly rights: Rights;
  /** It lets more through than was wanted, since what was wanted is too long to be said. */
  readonly coarser: boolean;
  /** It depends on `${*}` and its like, which MinIO and Ceph RGW take literally. */
  readonly escapes: boolean;
}

/** An STS took the token and refused the policy. */
export class PolicyRefused extends WireError {
  override readonly name = 'PolicyRefused';
}

/**
 * All three servers take 2,048. Counted are the bytes of the whole text: MinIO counts it after
 * writing it anew, which turns `<`, `>` and `&` into six characters each and may add names of
 * empty fields; what is left here is for that.
 */
const MAX_BYTES = 1950;

interface Statement {
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

/** HEAD is GetObject. */
const readObjects = ['s3:GetObject'];

/** CopyObject copies tags too: AWS refuses a rename of a tagged object without these two. */
const changeObjects = [
  's3:PutObject',
  's3:DeleteObject',
  's3:AbortMultipartUpload',
  's3:ListMultipartUploadParts',
  's3:GetObjectTagging',
  's3:PutObjectTagging',
];

/**
 * Policies for `wanted`, the narrowest first; the next is for a server that refuses the one before.
 * The last one covers the whole bucket: none is wider than that.
 */
export function sessionPolicies(
  wanted: Rights,
  place: PolicyPlace,
): readonly [SessionPolicy, ...SessionPolicy[]] {
  const whole = policyFor({ ...wanted, prefix: '' }, wanted, place);
  const narrower = prefixesFrom(wanted.prefix)
    .map((prefix) => policyFor({ ...wanted, prefix }, wanted, place))
    .find(({ json }) => remarshalledBytes(json) <= MAX_BYTES);
  return narrower === undefined ? [whole] : [narrower, whole];
}

/** `a/b/c/`, `a/b/`, `a/`: the prefix and the folders above it, without the bucket. */
function prefixesFrom(prefix: string): readonly string[] {
  if (prefix === '') return [];
  const above = prefix.slice(0, prefix.lastIndexOf('/', prefix.length - 2) + 1);
  return [prefix, ...prefixesFrom(above)];
}

function policyFor(rights: Rights, wanted: Rights, place: PolicyPlace): SessionPolicy {
  const document = { Version: '2012-10-17', Statement: statementsFor(rights, place) };
  return {
    json: asciiJson(document),
    rights,
    coarser: rights.prefix !== wanted.prefix,
    escapes: escapePattern(rights.prefix) !== rights.prefix,
  };
}

function statementsFor(rights: Rights, { partition, kms }: PolicyPlace): readonly Statement[] {
  const { bucket, prefix, readOnly, setsAcl = false } = rights;
  const arn = bucketArn(partition, bucket);
  // MinIO refuses a policy with an action that it does not know.
  const acl = setsAcl && kms ? ['s3:PutObjectAcl'] : [];
  const objects = readOnly ? readObjects : [...readObjects, ...changeObjects, ...acl];
  // A `*` for every bucket covers what is in them as well.
  const keys = bucket === undefined ? '' : `/${escapePattern(prefix)}*`;
  return [
    ...bucketStatements(rights, arn),
    allow(objects, arn + keys),
    ...(kms ? [kmsStatement(readOnly)] : []),
  ];
}

function bucketStatements({ bucket, prefix, readOnly }: Rights, arn: string): readonly Statement[] {
  const ofBucket = ['s3:ListBucket', 's3:GetBucketLocation'];
  if (bucket === undefined) return [allow(['s3:ListAllMyBuckets', ...ofBucket], arn)];
  if (prefix === '') {
    // Whose uploads are under way cannot be asked by prefix at MinIO and Ceph RGW.
    return [allow([...ofBucket, ...(readOnly ? [] : ['s3:ListBucketMultipartUploads'])], arn)];
  }
  const condition = { StringLike: { 's3:prefix': [`${escapePattern(prefix)}*`] } };
  return [
    { ...allow(['s3:ListBucket'], arn), Condition: condition },
    // Tells no name; many clients begin with it.
    allow(['s3:GetBucketLocation'], arn),
  ];
}

function allow(actions: readonly string[], resource: string): Statement {
  return { Effect: 'Allow', Action: actions, Resource: [resource] };
}

/** Only through S3: the key itself stays out of reach. */
function kmsStatement(readOnly: boolean): Statement {
  const actions = ['kms:Decrypt', ...(readOnly ? [] : ['kms:GenerateDataKey'])];
  const viaS3 = { StringLike: { 'kms:ViaService': ['s3.*'] } };
  return { ...allow(actions, '*'), Condition: viaS3 };
}

/** Ceph RGW writes `tenant:bucket` with the tenant in the place of the account. */
function bucketArn(partition: string, bucket: string | undefined): string {
  const [name = '', tenant = ''] = (bucket ?? '*').split(':', 2).reverse();
  return `arn:${partition}:s3::${tenant}:${name}`;
}

/**
 * `text` as a pattern that only `text` matches. A `$` that begins nothing is left as it is, for
 * the servers that do not know the escapes; one that would begin something is escaped as well.
 */
export function escapePattern(text: string): string {
  return text.replace(/\$+(?=[{*?])|[*?]/g, (special) => special.replace(/./g, '${$&}'));
}

/** AWS takes no character beyond U+00FF in a policy, so others are written by number. */
function asciiJson(document: unknown): string {
  return JSON.stringify(document).replace(
    /[\x7f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function remarshalledBytes(json: string): number {
  return json.length + 5 * (json.match(/[<>&]/g) ?? []).length;
}

/** `place` of a service, by its endpoint and the role: AWS tells itself by its host name. */
export function policyPlaceOf(endpoint: string, roleArn: string | undefined): PolicyPlace {
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
  const partition = /^arn:(aws-[a-z-]+):/.exec(roleArn ?? '')?.[1] ?? 'aws';
  return { partition, kms: /\.amazonaws\.com(?:\.cn)?$/.test(host) };
}
