/** GetBucketVersioning, PutBucketVersioning and ListObjectVersions. */
import { type Call, type Reply, xmlReply } from '../call.ts';
import { S3Error } from '../errors.ts';
import { listPage } from '../listing.ts';
import { isMarker, NULL_VERSION, type Version } from '../versions.ts';
import { childText, element, parseXml, xmlDocument } from '../xml.ts';

/** S3's largest page. */
const MAX_KEYS = 1000;

export function getBucketVersioning(call: Call): Reply {
  call.require('s3:GetBucketVersioning');
  const status = element('Status', call.bucket.versioning);
  return xmlReply(xmlDocument('VersioningConfiguration', status));
}

export async function putBucketVersioning(call: Call): Promise<Reply> {
  call.require('s3:PutBucketVersioning');
  const status = childText(parseXml(await call.body.text(), 'VersioningConfiguration'), 'Status');
  if (status !== 'Enabled' && status !== 'Suspended') throw new S3Error('MalformedXML');
  call.bucket.versioning = status;
  return { status: 200 };
}

/** Pages end between keys: all versions of a key are on one page. */
export function listObjectVersions(call: Call): Reply {
  const prefix = call.query.get('prefix') ?? '';
  const delimiter = call.query.get('delimiter') ?? '';
  const conditions = { 's3:prefix': prefix, 's3:delimiter': delimiter };
  call.require('s3:ListBucketVersions', undefined, conditions);
  const { bucket } = call;
  const marker = call.query.get('key-marker') ?? '';
  const asked = Number(call.query.get('max-keys') ?? MAX_KEYS);
  if (!Number.isInteger(asked) || asked < 0) throw new S3Error('InvalidArgument');
  const page = listPage(bucket.versionedKeys(), {
    prefix,
    delimiter,
    limit: Math.min(asked, MAX_KEYS),
    objectsHideBelow: false,
    fullPageIsTruncated: false,
    ...(marker !== '' && { after: marker }),
  });
  const versions = page.entries.flatMap(({ key }) =>
    bucket.versions(key).map((version, at) => describe(version, at === 0)),
  );
  const folds = page.commonPrefixes.map(
    (each) => `<CommonPrefixes>${element('Prefix', each)}</CommonPrefixes>`,
  );
  return xmlReply(
    xmlDocument(
      'ListVersionsResult',
      element('Name', bucket.name) +
        element('Prefix', prefix) +
        element('KeyMarker', marker) +
        element('MaxKeys', Math.min(asked, MAX_KEYS)) +
        element('IsTruncated', page.truncated) +
        (page.truncated ? element('NextKeyMarker', page.last) : '') +
        versions.join('') +
        folds.join(''),
    ),
  );
}

function describe(version: Version, isLatest: boolean): string {
  const common =
    element('Key', version.key) +
    element('VersionId', version.versionId ?? NULL_VERSION) +
    element('IsLatest', isLatest) +
    element('LastModified', new Date(version.modifiedMs).toISOString());
  if (isMarker(version)) return `<DeleteMarker>${common}</DeleteMarker>`;
  return (
    `<Version>${common}${element('ETag', `"${version.etag}"`)}` +
    `${element('Size', version.content.size)}<StorageClass>STANDARD</StorageClass></Version>`
  );
}
