import { expect, it } from 'vitest';
import { ErrorDocument } from '../../../src/s3/error-document.ts';

function failureOf(
  status: number,
  headers: Readonly<Record<string, string>>,
  document = '',
): unknown {
  const head = {
    status,
    headers: new Map(Object.entries(headers)),
    framing: { by: 'length', bytes: document.length },
    keepsAlive: true,
  } as const;
  const error = new ErrorDocument(head);
  error.room().set(Buffer.from(document));
  error.filled(document.length);
  return error.failure();
}

it('the code of a refusal is that of its document', () => {
  const document = '<Error><Code>NoSuchKey</Code><RequestId>r1</RequestId></Error>';
  expect(failureOf(404, {}, document)).toMatchObject({
    status: 404,
    code: 'NoSuchKey',
    requestId: 'r1',
  });
});

it('the code of a refused HEAD, which has no document, is that of MinIO\u2019s header', () => {
  const headers = { 'x-minio-error-code': 'InvalidAccessKeyId' };
  expect(failureOf(403, headers)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
});

it.each(['', 'Forbidden', '<Error>', '<html></html>'])(
  'a refusal without any code (%j) is named by its status',
  (document) => {
    expect(failureOf(403, {}, document)).toMatchObject({ status: 403, code: 'HTTP 403' });
  },
);
