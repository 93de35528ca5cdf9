import { describe, expect, it } from 'vitest';
import { readHelperWords, splitOptions } from '../../../../src/cli/mount-wire/helper-words.ts';

describe('what mount(8) says to its helper', () => {
  it('is a source, a folder and options, flags one by one or together', () => {
    expect(
      readHelperWords(['s3://data', '/mnt', '-sv', '-n', '-o', 'rw,ro', '-t', 'wire']),
    ).toEqual({
      spec: 's3://data',
      directory: '/mnt',
      options: ['rw', 'ro'],
      fake: false,
      sloppy: true,
      verbose: true,
    });
    expect(readHelperWords(['-f', '-oro', 's3://data', '/mnt', '-o', 'noatime'])).toMatchObject({
      options: ['ro', 'noatime'],
      fake: true,
      verbose: false,
    });
  });

  it('may have commas in a value between quotes', () => {
    expect(splitOptions('ro,insecure="a,b",,uid=1')).toEqual(['ro', 'insecure=a,b', 'uid=1']);
    expect(splitOptions('a="b')).toEqual(['a=b']);
    expect(splitOptions('')).toEqual([]);
  });

  it.each([
    [[], 'SOURCE and MOUNTPOINT are needed'],
    [['s3://data'], 'SOURCE and MOUNTPOINT are needed'],
    [['s3://data', '/mnt', '/more'], 'SOURCE and MOUNTPOINT are needed'],
    [['s3://data', '/mnt', '--help'], 'cannot mount --help'],
    [['s3://data', '/mnt', '-sx'], 'cannot mount -sx'],
    [['s3://data', '/mnt', '-o'], 'its value is missing'],
    [['s3://data', '/mnt', '-N', '/proc/1/ns/mnt'], 'only where it is called'],
  ])('is refused as %j', (words, said) => {
    expect(() => readHelperWords(words)).toThrow(said);
  });
});
