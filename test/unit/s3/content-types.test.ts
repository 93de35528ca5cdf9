import { expect, it } from 'vitest';
import { contentTypeOf } from '../../../src/s3/content-types.ts';

it.each([
  ['a/b.TXT', 'text/plain'],
  ['run.2024.h5', 'application/x-hdf5'],
  ['archive.tar.gz', 'application/gzip'],
  ['folder.d/', 'application/x-directory'],
  ['folder.csv/name', 'application/octet-stream'],
  ['.txt', 'application/octet-stream'],
  ['name.', 'application/octet-stream'],
  ['a.constructor', 'application/octet-stream'],
  ['', 'application/octet-stream'],
])('the type of %s is %s', (key, type) => {
  expect(contentTypeOf(key)).toBe(type);
});
