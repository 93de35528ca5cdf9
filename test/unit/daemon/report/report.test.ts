import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { environmentFacts } from '../../../../src/daemon/report/machine-facts.ts';
import { tarOf } from '../../../../src/daemon/report/tar.ts';

describe('an archive', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-tar-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('is read by tar(1): names, contents of all lengths, modes and times', async () => {
    const contents = [0, 1, 511, 512, 513, 5000].map((length) => Buffer.alloc(length, 'ä'));
    const files = contents.map((content) => ({ name: `r/f${content.byteLength}`, content }));
    const path = join(folder, 'x.tar');
    await writeFile(path, tarOf(files, Date.UTC(2026, 10, 22, 17, 5, 9)));
    const list = execFileSync('tar', ['-tvf', path], { env: { ...process.env, TZ: 'UTC' } });
    const lines = list.toString().trimEnd().split('\n');
    expect(lines).toHaveLength(6);
    expect(lines[3]).toMatch(/^-rw------- 0\/0 +512 2026-11-22 17:05 r\/f512$/);
    for (const { name, content } of files) {
      expect(execFileSync('tar', ['-xOf', path, name]).equals(content)).toBe(true);
    }
  });

  it('of nothing ends as one should', async () => {
    const path = join(folder, 'x.tar');
    await writeFile(path, tarOf([], 0));
    expect(execFileSync('tar', ['-tf', path]).toString()).toBe('');
  });
});

describe('the environment in a report', () => {
  it('tells what means something to wire, and of secrets only that they are set', () => {
    expect(
      environmentFacts({
        WIRE_ENDPOINT: 'https://s3.test',
        ACCESS_TOKEN: 'a-very-secret-token',
        IAM_CLIENT_SECRET: 'another-secret',
        BEARER_TOKEN_FILE: '/run/token',
        https_proxy: 'http://me:password1@proxy.test',
        no_proxy: '.test',
        EDITOR: 'vi',
        MY_DIARY: 'nobody shall read it',
        HOME: undefined,
      }),
    ).toEqual({
      ACCESS_TOKEN: '[secret]',
      BEARER_TOKEN_FILE: '/run/token',
      IAM_CLIENT_SECRET: '[secret]',
      WIRE_ENDPOINT: 'https://s3.test',
      https_proxy: '[secret]',
      no_proxy: '.test',
    });
  });
});
