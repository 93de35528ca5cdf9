/** ListObjects (version 1) and ListObjectsV2. */

import { type Call, type Reply, xmlReply } from '../call.ts';
import { encode } from '../canonical-request.ts';
import { S3Error } from '../errors.ts';
import { type ListingPage, listPage } from '../listing.ts';
import type { StoredObject } from '../stored-object.ts';
import { element, escapeXml, xmlDocument } from '../xml.ts';

/** S3's largest page. */
const MAX_KEYS = 1000;

/** The parameters both versions share. */
interface Request {
  readonly prefix: string;
  readonly delimiter: string;
  readonly maxKeys: number;
  readonly encoding: string | undefined;
  /** Writes a key or prefix as the client asked. */
  readonly name: (text: string) => string;
}

export function listObjectsV2(call: Call): Reply {
  const request = readRequest(call);
  const { bucket } = call;
  const token = call.query.get('continuation-token');
  const startAfter = call.query.get('start-after');
  const after = token === undefined ? startAfter : readToken(token);
  const page = pageOf(call, request, after);
  const { entries, commonPrefixes, truncated, last } = page;
  const owner = call.query.get('fetch-owner') === 'true' ? ownerOf(call) : '';
  return xmlReply(
    xmlDocument(
      'ListBucketResult',
      head(bucket.name, request) +
        element('KeyCount', entries.length + commonPrefixes.length) +
        element('IsTruncated', truncated) +
        element('ContinuationToken', token) +
        element('StartAfter', startAfter && request.name(startAfter)) +
        (truncated ? element('NextContinuationToken', makeToken(last ?? '')) : '') +
        contents(call, request, page, owner),
    ),
  );
}

export function listObjects(call: Call): Reply {
  const request = readRequest(call);
  const { bucket } = call;
  const marker = call.query.get('marker') ?? '';
  const page = pageOf(call, request, marker === '' ? undefined : marker);
  const tellsNext = request.delimiter !== '' || call.quirks.alwaysNextMarker;
  return xmlReply(
    xmlDocument(
      'ListBucketResult',
      head(bucket.name, request) +
        element('Marker', request.name(marker)) +
        element('IsTruncated', page.truncated) +
        (page.truncated && tellsNext ? element('NextMarker', request.name(page.last ?? '')) : '') +
        contents(call, request, page, ownerOf(call)),
    ),
  );
}

function readRequest(call: Call): Request {
  const prefix = call.query.get('prefix') ?? '';
  const delimiter = call.query.get('delimiter') ?? '';
  const maxKeysText = call.query.get('max-keys') ?? String(MAX_KEYS);
  call.require('s3:ListBucket', undefined, {
    's3:prefix': prefix,
    's3:delimiter': delimiter,
    's3:max-keys': maxKeysText,
  });
  const encoding = call.query.get('encoding-type');
  if (!/^\d{1,10}$/.test(maxKeysText) || (encoding !== undefined && encoding !== 'url')) {
    throw new S3Error('InvalidArgument');
  }
  const maxKeys = Math.min(Number(maxKeysText), MAX_KEYS);
  const { urlSpace } = call.quirks;
  const name =
    encoding === undefined
      ? (text: string) => text
      : (text: string) => encode(text).replaceAll('%2F', '/').replaceAll('%20', urlSpace);
  return { prefix, delimiter, maxKeys, encoding, name };
}

function pageOf(
  call: Call,
  { prefix, delimiter, maxKeys }: Request,
  after: string | undefined,
): ListingPage<StoredObject> {
  return listPage(call.bucket.entries, {
    prefix,
    delimiter,
    limit: maxKeys,
    objectsHideBelow: call.quirks.objectsHideBelow,
    fullPageIsTruncated: call.quirks.fullPageIsTruncated,
    ...(after !== undefined && { after }),
  });
}

function head(bucket: string, { prefix, delimiter, maxKeys, encoding, name }: Request): string {
  return (
    element('Name', bucket) +
    element('Prefix', name(prefix)) +
    element('MaxKeys', maxKeys) +
    (delimiter === '' ? '' : element('Delimiter', name(delimiter))) +
    element('EncodingType', encoding)
  );
}

function contents(
  call: Call,
  { name }: Request,
  { entries, commonPrefixes }: ListingPage<StoredObject>,
  owner: string,
): string {
  const { listsMilliseconds, listsMetadata } = call.quirks;
  const withMetadata = listsMetadata && call.query.get('metadata') === 'true';
  const { bucketName: bucket } = call;
  let xml = '';
  for (const object of entries) {
    const time = new Date(object.modifiedMs).toISOString();
    const metadata =
      withMetadata && call.may('s3:GetObject', { bucket, key: object.key })
        ? userMetadata(object)
        : '';
    xml +=
      `<Contents><Key>${escapeXml(name(object.key))}</Key>` +
      `<LastModified>${listsMilliseconds ? time : `${time.slice(0, 19)}.000Z`}</LastModified>` +
      `<ETag>&#34;${object.etag}&#34;</ETag><Size>${object.content.size}</Size>` +
      `<StorageClass>STANDARD</StorageClass>${owner}${metadata}</Contents>`;
  }
  for (const prefix of commonPrefixes) {
    xml += `<CommonPrefixes>${element('Prefix', name(prefix))}</CommonPrefixes>`;
  }
  return xml;
}

/** MinIO's extension: names in HTTP's canonical case, `content-type` as it is. */
function userMetadata(object: StoredObject): string {
  const items = Object.entries(object.headers)
    .filter(([name]) => name === 'content-type' || name.startsWith('x-amz-meta-'))
    .map(([name, value]) => element(name === 'content-type' ? name : canonicalCase(name), value));
  return `<UserMetadata>${items.join('')}</UserMetadata>`;
}

function canonicalCase(name: string): string {
  return name.replace(
    /(^|-)([a-z])/g,
    (_, dash: string, letter: string) => dash + letter.toUpperCase(),
  );
}

function ownerOf(call: Call): string {
  return `<Owner>${element('ID', call.principal.name)}${element('DisplayName', call.principal.name)}</Owner>`;
}

/** Opaque to clients: a mark, so that a foreign token is known, and the last name of the page. */
const tokenMark = 'after:';

function makeToken(last: string): string {
  return Buffer.from(tokenMark + last).toString('base64');
}

function readToken(token: string): string {
  const text = Buffer.from(token, 'base64').toString();
  if (!text.startsWith(tokenMark)) {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect');
  }
  return text.slice(tokenMark.length);
}
