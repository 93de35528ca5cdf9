import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { environmentLines } from '../../../src/cli/credential-text.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { FakeCli } from './fake-cli.ts';

/** The variables that a shell has after `lines`, of those that begin with AWS_. */
function evaluate(lines: string): Readonly<Record<string, string>> {
  const env = { PATH: process.env['PATH'] };
  // `eval` of a substitution, as people write it.
  const script = `eval "$LINES"; env -0`;
  const found = execFileSync('sh', ['-c', script], { env: { ...env, LINES: lines } })
    .toString()
    .split('\0')
    .map((entry) => entry.split('='))
    .filter(([name = '']) => name.startsWith('AWS_'))
    .map(([name = '', ...value]) => [name, value.join('=')] as const);
  return Object.fromEntries(found);
}

it('gives a shell the credentials, the region and the endpoint', async () => {
  const cli = new FakeCli();
  const { code, stdout } = await cli.run('env', 's3://b/p', '--read-only');
  expect(code).toBe(0);
  expect(evaluate(stdout)).toEqual({
    AWS_ACCESS_KEY_ID: 'ASIAKEY',
    AWS_SECRET_ACCESS_KEY: "sec'ret$(x)",
    AWS_SESSION_TOKEN: 'session-token',
    AWS_REGION: 'here',
    AWS_DEFAULT_REGION: 'here',
    AWS_ENDPOINT_URL: 'https://s3.example',
  });
  expect(cli.credentials).toMatchObject([{ limit: { readOnly: true } }]);
});

it('says until when, and what old programs need to be told', async () => {
  const { stdout } = await new FakeCli().run('env');
  expect(stdout).toContain('# Good until 1970-01-01T01:00:01.000Z');
  expect(stdout).toMatch(/# awscli .* --endpoint-url 'https:\/\/s3\.example'/);
});

it('lets no value do anything in the shell', () => {
  const nasty = fc.string({
    unit: fc.constantFrom("'", '"', '$', '`', '(', ')', '\\', ';', '&', '#', ' ', '!', 'é', 'x'),
    maxLength: 30,
    size: 'max',
  });
  fc.assert(
    fc.property(nasty, nasty, nasty, (secret, endpoint, region) => {
      const lines = environmentLines({
        accessKeyId: 'ASIA',
        secretAccessKey: new Secret(secret),
        sessionToken: new Secret('t'),
        expiresAtMs: 0,
        ...{ endpoint, region },
      });
      expect(evaluate(lines.join('\n'))).toMatchObject({
        AWS_SECRET_ACCESS_KEY: secret,
        AWS_ENDPOINT_URL: endpoint,
        AWS_REGION: region,
        AWS_SESSION_TOKEN: 't',
      });
    }),
    { numRuns: 60 },
  );
});
