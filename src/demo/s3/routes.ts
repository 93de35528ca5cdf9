/** Which operation a request asks for. Sources: S3 API reference; MinIO where it differs. */
import { S3Error } from './errors.ts';
import type { Quirks } from './quirks.ts';

export const operationNames = [
  'AbortMultipartUpload',
  'CompleteMultipartUpload',
  'CopyObject',
  'CreateBucket',
  'CreateMultipartUpload',
  'DeleteBucket',
  'DeleteObject',
  'DeleteObjects',
  'GetBucketLocation',
  'GetBucketVersioning',
  'GetObject',
  'HeadBucket',
  'HeadObject',
  'ListBuckets',
  'ListMultipartUploads',
  'ListObjectVersions',
  'ListObjects',
  'ListObjectsV2',
  'ListParts',
  'PutBucketVersioning',
  'PutObject',
  'UploadPart',
  'UploadPartCopy',
] as const;

export type OperationName = (typeof operationNames)[number];

/** What of a request decides. */
export interface RouteFacts {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  readonly isCopy: boolean;
}

/** Subresources that nobody here serves. */
const unserved = [
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'lifecycle',
  'legal-hold',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'tagging',
  'torrent',
  'website',
] as const;

/** @throws S3Error NotImplemented or MethodNotAllowed */
export function route(facts: RouteFacts, quirks: Quirks): OperationName {
  const { bucket, key, query } = facts;
  const isUnserved =
    unserved.some((name) => query.has(name)) ||
    (query.has('session') && !quirks.sessionLists) ||
    (query.has('renameObject') && !quirks.renameTruncates);
  if (isUnserved) throw new S3Error('NotImplemented');
  const name =
    bucket === '' ? serviceRoute(facts) : key === '' ? bucketRoute(facts) : objectRoute(facts);
  if (name === undefined) throw new S3Error('MethodNotAllowed');
  return name;
}

function serviceRoute({ method }: RouteFacts): OperationName | undefined {
  return method === 'GET' ? 'ListBuckets' : undefined;
}

function bucketRoute({ method, query }: RouteFacts): OperationName | undefined {
  switch (method) {
    case 'GET':
      if (query.has('location')) return 'GetBucketLocation';
      if (query.has('uploads')) return 'ListMultipartUploads';
      if (query.has('versioning')) return 'GetBucketVersioning';
      if (query.has('versions')) return 'ListObjectVersions';
      return query.get('list-type') === '2' ? 'ListObjectsV2' : 'ListObjects';
    case 'HEAD':
      return 'HeadBucket';
    case 'PUT':
      return query.has('versioning') ? 'PutBucketVersioning' : 'CreateBucket';
    case 'DELETE':
      return 'DeleteBucket';
    case 'POST':
      return query.has('delete') ? 'DeleteObjects' : undefined;
    default:
      return undefined;
  }
}

function objectRoute({ method, query, isCopy }: RouteFacts): OperationName | undefined {
  const inUpload = query.has('uploadId');
  switch (method) {
    case 'GET':
      return inUpload ? 'ListParts' : 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'PUT':
      if (inUpload && query.has('partNumber')) return isCopy ? 'UploadPartCopy' : 'UploadPart';
      return isCopy ? 'CopyObject' : 'PutObject';
    case 'DELETE':
      return inUpload ? 'AbortMultipartUpload' : 'DeleteObject';
    case 'POST':
      if (query.has('uploads')) return 'CreateMultipartUpload';
      return inUpload ? 'CompleteMultipartUpload' : undefined;
    default:
      return undefined;
  }
}
