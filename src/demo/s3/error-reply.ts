/** Refusals in the dialect's form. */
import type { Reply } from './call.ts';
import { S3Error } from './errors.ts';
import type { Quirks } from './quirks.ts';
import { element, xmlHead } from './xml.ts';

/** What an error's body tells of its request. */
export interface ErrorContext {
  readonly bucket: string;
  readonly key: string;
  readonly rawPath: string;
  readonly requestId: string;
}

export function errorReply(error: S3Error, quirks: Quirks, context: ErrorContext): Reply {
  const { bucket, key, rawPath, requestId } = context;
  const message = quirks.errorMessages ? error.message : '';
  const xml =
    `${xmlHead}<Error>${element('Code', error.code)}${element('Message', message)}` +
    element('BucketName', bucket === '' ? undefined : bucket) +
    element('Key', key === '' ? undefined : key) +
    `${element('Resource', rawPath)}${element('RequestId', requestId)}<HostId>playground</HostId></Error>`;
  return {
    status: error.status,
    headers: {
      'content-type': 'application/xml',
      ...(quirks.errorHeaders && {
        'x-minio-error-code': error.code,
        'x-minio-error-desc': `"${error.message}"`,
      }),
    },
    body: xml,
  };
}
