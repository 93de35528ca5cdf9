/** Operations on buckets as a whole. */
import { Bucket } from '../bucket.ts';
import { type Call, type Reply, xmlReply } from '../call.ts';
import { S3Error } from '../errors.ts';
import { checkBucketName } from '../key-rules.ts';
import { childText, element, parseXml, xmlDocument } from '../xml.ts';

/** Names MinIO keeps for itself. */
const reserved = new Set(['minio', '.minio.sys']);

export function listBuckets(call: Call): Reply {
  const { filtersBuckets } = call.quirks;
  if (!filtersBuckets) call.require('s3:ListAllMyBuckets', {});
  const mayList = ({ name }: Bucket): boolean =>
    call.may('s3:ListBucket', { bucket: name }) ||
    call.may('s3:GetBucketLocation', { bucket: name });
  const all = call.store.buckets.all();
  const shown = filtersBuckets && !call.may('s3:ListAllMyBuckets', {}) ? all.filter(mayList) : all;
  if (filtersBuckets && shown.length === 0 && all.length > 0) throw new S3Error('AccessDenied');
  const { name } = call.principal;
  const items = shown.map(
    (bucket) =>
      `<Bucket>${element('Name', bucket.name)}${element('CreationDate', new Date(bucket.createdMs).toISOString())}</Bucket>`,
  );
  return xmlReply(
    xmlDocument(
      'ListAllMyBucketsResult',
      `<Owner>${element('ID', name)}${element('DisplayName', name)}</Owner>` +
        `<Buckets>${items.join('')}</Buckets>`,
    ),
  );
}

export async function createBucket(call: Call): Promise<Reply> {
  call.require('s3:CreateBucket');
  const { bucketName: name, quirks, store } = call;
  if (quirks.keysArePaths && reserved.has(name)) throw new S3Error('AllAccessDisabled');
  checkBucketName(name);
  const text = await call.body.text();
  if (text !== '') {
    const location = childText(parseXml(text, 'CreateBucketConfiguration'), 'LocationConstraint');
    if (location !== undefined && location !== '' && location !== store.region) {
      throw new S3Error('InvalidArgument', 'The specified location-constraint is not valid');
    }
  }
  if (store.buckets.find(name) !== undefined) throw new S3Error('BucketAlreadyOwnedByYou');
  store.buckets.add(new Bucket(name, call.now));
  return { status: 200, headers: { location: `/${name}` } };
}

export function deleteBucket(call: Call): Reply {
  call.require('s3:DeleteBucket');
  const { bucket } = call;
  if (!bucket.isEmpty) throw new S3Error('BucketNotEmpty');
  call.store.buckets.remove(bucket.name);
  return { status: 204 };
}

export function headBucket(call: Call): Reply {
  call.require('s3:ListBucket');
  call.checkBucket();
  return { status: 200, headers: { 'x-amz-bucket-region': call.store.region } };
}

export function getBucketLocation(call: Call): Reply {
  call.require('s3:GetBucketLocation');
  call.checkBucket();
  const { region } = call.store;
  return xmlReply(xmlDocument('LocationConstraint', region === 'us-east-1' ? '' : region));
}
