import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { readLimit } from '../../../src/cli/credentials-limit.ts';
import { FakeCli } from './fake-cli.ts';

it('prints what a credential_process prints, and nothing else on standard output', async () => {
  const cli = new FakeCli();
  const { code, stdout, stderr } = await cli.run('credentials', '--endpoint', 'https://s3.example');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    Version: 1,
    AccessKeyId: 'ASIAKEY',
    SecretAccessKey: "sec'ret$(x)",
    SessionToken: 'session-token',
    Expiration: '1970-01-01T01:00:01.000Z',
  });
  expect(stdout.trim()).not.toContain('\n');
  expect(stderr).toBe('');
  expect(cli.credentials).toMatchObject([{ settings: { endpoint: 'https://s3.example' } }]);
  expect(cli.credentials[0]).not.toHaveProperty('limit');
});

it.each([
  [['s3://b/p'], {}, { source: { kind: 'bucket', bucket: 'b', prefix: 'p/' }, readOnly: false }],
  [['s3://b'], { readOnly: true }, { source: { bucket: 'b', prefix: '' }, readOnly: true }],
  [['s3://'], {}, { source: { kind: 'buckets' }, readOnly: false }],
  [[], { bucket: 'b' }, { source: { bucket: 'b', prefix: '' }, readOnly: false }],
  [[], { bucket: 'b', prefix: 'p/q/' }, { source: { bucket: 'b', prefix: 'p/q/' } }],
  [[], { readOnly: true }, { source: { kind: 'buckets' }, readOnly: true }],
])('limits credentials to what %j with %j says', (words, flags, limit) => {
  expect(readLimit(words, flags)).toMatchObject(limit);
});

it('limits nothing that was not said', () => {
  expect(readLimit([], {})).toBeUndefined();
});

it.each([
  [['s3://b', '--bucket', 'c']],
  [['s3://b', 's3://c']],
  [['named']],
  [['--prefix', 'p']],
  [['--bucket', 'b', '--prefix', '../c']],
  [['https://b']],
  [['--port', '80']],
  [['--serve', '--port', '70000']],
])('refuses %j before anything is asked', async (words) => {
  const cli = new FakeCli();
  const { code, stdout, stderr } = await cli.run('credentials', ...words);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^wire: [^\n]+\n$/);
  expect(cli.credentials).toEqual([]);
  expect(cli.served).toEqual([]);
});

it('says on a terminal what somebody who sees the screen may do', async () => {
  const cli = new FakeCli();
  cli.isTTY = true;
  for (const command of ['credentials', 'env']) {
    const { code, stderr } = await cli.run(command);
    expect(code).toBe(0);
    expect(stderr).toMatch(/whoever sees this may use the store as you/);
    expect(stderr).not.toContain('session-token');
  }
});

it('serves with lines that a shell takes and that hold no secret', async () => {
  const cli = new FakeCli();
  const { code, stdout } = await cli.run('credentials', 's3://b', '--serve', '--port', '4711');
  expect(code).toBe(0);
  expect(cli.served).toMatchObject([{ port: 4711, limit: { readOnly: false } }]);
  const script = `cat() { printf 'token from %s' "$1"; }\n${stdout}env`;
  const lines = execFileSync('sh', ['-c', script], { env: { PATH: process.env['PATH'] } })
    .toString()
    .split('\n');
  const file = "/run/it's/credentials-1.token";
  expect(lines).toContain('AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:4711/credentials');
  expect(lines).toContain(`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=${file}`);
  expect(lines).toContain(`AWS_CONTAINER_AUTHORIZATION_TOKEN=token from ${file}`);
});

it('tells what the daemon warns of on standard error', async () => {
  const cli = new FakeCli();
  cli.daemon = {
    credentials: async (_, events) => {
      events.warn('these credentials can do more than was asked for');
      return await Promise.reject(new Error('enough'));
    },
  };
  const { stderr } = await cli.run('credentials', 's3://b');
  expect(stderr).toContain('Warning: these credentials can do more than was asked for');
});
