import { describe, expect, it } from 'vitest';
import { isLoopback } from '../../../src/lib/host-name.ts';
import { namesServer } from '../../../src/net/host-list.ts';
import { targetOf } from '../../../src/net/target.ts';

/** As a connection to `url` asks whether `entry` switches the check of certificates off. */
function names(entry: string, url: string): boolean {
  const { host, port } = targetOf(url);
  return namesServer([entry], host, port);
}

describe('a list of hosts', () => {
  it.each([
    ['s3.example', 'https://s3.example/'],
    ['s3.example', 'https://s3.example:9000/'],
    ['S3.Example', 'https://s3.EXAMPLE/'],
    ['s3.example:443', 'https://s3.example/'],
    ['s3.example:9000', 'https://s3.example:9000/'],
    ['[::1]', 'https://[::1]:9000/'],
    ['[2001:DB8::1]:9000', 'https://[2001:db8::1]:9000/'],
    ['xn--bcher-kva.example', 'https://bücher.example/'],
  ])('with %s names %s', (entry, url) => {
    expect(names(entry, url)).toBe(true);
  });

  it.each([
    ['s3.example', 'https://evil-s3.example/'],
    ['s3.example', 'https://s3.example.evil.example/'],
    ['s3.example', 'https://www.s3.example/'],
    ['s3.example', 'https://iam.example/s3.example'],
    ['s3.example', 'https://s3.example@iam.example/'],
    ['s3.example', 'https://iam.example/?s3.example#s3.example'],
    ['s3.example', 'https://s3-example/'],
    ['s3.example', 'https://ѕ3.example/'], // its first letter is Cyrillic
    ['s3.example', 'https://s3.example./'], // another name, for whoever is asked
    ['s3.example:9000', 'https://s3.example/'],
    ['s3.example:9000', 'https://s3.example:90/'],
    ['s3.example:', 'https://s3.example/'],
    ['*', 'https://s3.example/'],
    ['*.example', 'https://s3.example/'],
    ['.example', 'https://s3.example/'],
    ['', 'https://s3.example/'],
    [':443', 'https://s3.example/'],
    ['https://s3.example', 'https://s3.example/'],
    ['127.0.0.1', 'https://[::ffff:127.0.0.1]/'],
    ['[::]', 'https://[::1]/'],
  ])('with "%s" does not name %s', (entry, url) => {
    expect(names(entry, url)).toBe(false);
  });

  it.each([
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '128.0.0.1',
    'localhost.',
    '0.0.0.0',
  ])('takes %s for another machine', (host) => expect(isLoopback(host)).toBe(false));
});
