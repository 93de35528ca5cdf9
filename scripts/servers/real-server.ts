/** What tests and people need to know of a server that trusts the playground's IAM. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { Iam } from '../../src/demo/iam/iam.ts';
import { DEMO_BUCKET, people } from '../../src/demo/playground-people.ts';
import type { AdminKey } from './signed-request.ts';

/**
 * `claims` and `role` are the two ways in which MinIO takes its policies from OpenID; with `opa` it
 * asks that one, which knows of session policies or does not.
 */
export type ServerName =
  | 'playground'
  | 'rgw'
  | 'minio-claims'
  | 'minio-role'
  | 'minio-opa'
  | 'minio-opa-session';

/** Where everybody has the folder `users/NAME/`. */
export interface PersonalFolders {
  readonly bucket: string;
  /** Names in `shared/` are everybody's to see, and only `shared/NAME/` one's own to touch. */
  readonly hasShared: boolean;
  /** ARN of the role that gives a person theirs; undefined where claims do. */
  readonly roleOf: (userName: string) => string | undefined;
}

export interface RealServer extends AsyncDisposable {
  readonly name: ServerName;
  /** Program and version, as it says itself. */
  readonly version: string;
  readonly iam: Iam;
  /** Of objects and of STS. */
  readonly endpoint: string;
  /** What access tokens have to be for. */
  readonly audience: string;
  /** ARN of the role for everybody; absent where claims say what people may do. */
  readonly role?: string;
  readonly personal: PersonalFolders;
  /** More addresses of the same, by what is special about them. */
  readonly otherEndpoints?: Readonly<Record<string, string>>;
  /** May do everything: for tests that look at the store from the outside. */
  readonly root: AdminKey;
  /** Where the servers write their logs. */
  readonly folder: string;
}

/** As every program signs with: `sessionToken` for temporary ones. */
export interface StoreKey extends AdminKey {
  readonly sessionToken?: string;
}

/** Of the personal folders, at servers of others. */
export const PEOPLE_BUCKET = 'wire-people';

/** Buckets that every server of others has: the role lets people into the first one. */
export const buckets: readonly string[] = [
  DEMO_BUCKET,
  ...people.map(({ name }) => name),
  PEOPLE_BUCKET,
];

/** A client that tries once. */
export function s3Client(endpoint: string, credentials: StoreKey): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials,
    // Ceph RGW 16 knows none of the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** Makes `buckets`. */
export async function makeBuckets(
  endpoint: string,
  root: AdminKey,
  signal: AbortSignal,
): Promise<void> {
  const client = s3Client(endpoint, root);
  try {
    for (const Bucket of buckets) {
      await client.send(new CreateBucketCommand({ Bucket }), { abortSignal: signal });
    }
  } finally {
    client.destroy();
  }
}
