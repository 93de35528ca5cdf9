/** The small documents by which S3 answers what writes, and the one that it is sent. */
import type { UploadedPart } from '../store/object-store.ts';
import { RefusedError } from './s3-errors.ts';
import type { S3Answer } from './s3-request.ts';
import { readOnce } from './xml-fields.ts';
import { BadXmlError, XmlReader, xmlName } from './xml-reader.ts';

const ERROR = xmlName('Error');

/** Statuses of errors that came with 200, since the server had begun to answer before them. */
const statusOf: Readonly<Record<string, number>> = {
  PreconditionFailed: 412,
  ConditionalRequestConflict: 409,
  NoSuchUpload: 404,
  NoSuchKey: 404,
  NoSuchBucket: 404,
  AccessDenied: 403,
  ExpiredToken: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  EntityTooSmall: 400,
};

/**
 * The texts of the fields `names` directly below the root of an answer's document.
 *
 * @throws RefusedError when the document is an error, whatever the answer's status; BadXmlError.
 */
export function readFields<Name extends string>(
  { body, headers }: S3Answer,
  ...names: readonly Name[]
): Readonly<Partial<Record<Name, string>>> {
  const reader = new XmlReader(body);
  if (!reader.enter()) throw new BadXmlError('nothing');
  const refused = reader.is(ERROR);
  const fields = readTexts(reader, refused ? ['Code', 'RequestId'] : names);
  if (!refused) return fields;
  const { Code: code = 'InternalError', RequestId } = fields;
  const requestId = headers.get('x-amz-request-id') ?? RequestId;
  throw new RefusedError({ status: statusOf[code] ?? 503, code, requestId });
}

/** To the end of the document. */
function readTexts(
  reader: XmlReader,
  names: readonly string[],
): Readonly<Partial<Record<string, string>>> {
  const wanted = names.map((name) => [name, xmlName(name)] as const);
  const fields: Partial<Record<string, string>> = {};
  while (reader.enter()) {
    const [name] = wanted.find(([, bytes]) => reader.is(bytes)) ?? [];
    if (name === undefined) reader.skip();
    else fields[name] = readOnce(fields[name], reader.text());
  }
  if (reader.enter()) throw new BadXmlError('two documents');
  return fields;
}

/** The body of CompleteMultipartUpload: the sums of the parts as well, where they have any. */
export function completionDocument(parts: readonly UploadedPart[]): Buffer {
  const elements = parts.map(({ number, etag, crc32 }) => {
    const sum = crc32 === undefined ? '' : element('ChecksumCRC32', crc32);
    return `<Part>${element('PartNumber', String(number))}${element('ETag', etag)}${sum}</Part>`;
  });
  const namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
  const document = `<CompleteMultipartUpload ${namespace}>${elements.join('')}</CompleteMultipartUpload>`;
  return Buffer.from(document);
}

function element(name: string, text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<${name}>${escaped}</${name}>`;
}
